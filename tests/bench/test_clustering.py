"""How a clusterer is measured, with clusterers whose moves are scripted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from soulcaster.bench import clustering
from soulcaster.bench.clustering import Options, figures, load
from soulcaster.bench.clustering_loop import CurrentClusterer, Measured, MeasuredRound, RoundReport, drive, drive_alone
from soulcaster.bench.datasets import LabelledFile, Stream, stream
from soulcaster.cli.main import app
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.errors import BadInput, SoulcasterError
from tests.bench.make import labelled, write
from tests.support.make import compared_item

Step = tuple[str, str, Mapping[str, str] | None]
"""The items' clusters after a batch, those after the round that follows, and its merges; None: no round follows."""


class Scripted:
    """MeasuredClusterer that says where items are by its script: a step for each batch, and one for the last time."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        self.given: list[tuple[tuple[str, ...], list[list[float]]]] = []
        self.lasts: list[bool] = []
        self.ids = ""
        self.done = False

    def add(self, items: Sequence[ComparedItem], vectors: Vectors) -> list[float]:
        self.given.append((tuple(item.id for item in items), vectors.tolist()))
        self.ids = self.steps[0][0]
        return []

    def consolidate(self, *, last: bool) -> RoundReport | None:
        if self.done:
            self.done = False
            return None
        self.lasts.append(last)
        _, self.ids, merged = self.steps.pop(0)
        self.done = merged is not None
        return None if merged is None else RoundReport(merged, 0.25)

    def clusters(self) -> Sequence[str]:
        return list(self.ids)

    def themes(self) -> Sequence[str]:
        return [of.lower() for of in self.ids]


def still(ids: str) -> Step:
    return ids, ids, None


def run(*steps: Step, batch: int = 2) -> tuple[Measured, Scripted]:
    """Drive the script with as many items as its last step has."""
    count = len(steps[-1][0])
    learner = Scripted(steps)
    vectors = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    driven = drive(lambda dimensions: learner, [compared_item(n) for n in range(count)], vectors, batch)
    assert learner.steps == []
    return driven, learner


def shares(driven: Measured) -> list[tuple[float, float]]:
    return [(done.changed, done.changed_without_merges) for done in driven.rounds]


def names(numbers: Sequence[int]) -> str:
    """Return cluster numbers as letters, by first appearance, because the numbers themselves mean nothing."""
    known: dict[int, str] = {}
    return "".join(known.setdefault(n, "abcdefgh"[len(known)]) for n in numbers)


# ---- driving -----------------------------------------------------------------------------------------------------


def test_the_learner_is_given_every_item_once_in_batches() -> None:
    driven, learner = run(still("aa"), still("aaaa"), still("aaaaa"), still("aaaaa"))
    ids = [compared_item(n).id for n in range(5)]
    assert [given for given, _ in learner.given] == [tuple(ids[:2]), tuple(ids[2:4]), tuple(ids[4:])]
    assert [rows for _, rows in learner.given] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9]]]
    assert learner.lasts == [False, False, False, True]
    assert len(driven.batch_seconds) == 3


def test_as_first_assigned_is_what_each_item_had_before_any_consolidation() -> None:
    driven, _ = run(("ab", "bb", {}), ("bbca", "cccc", {}), ("cccc", "dddd", {}))
    assert names(driven.online) == "abca"
    assert names(driven.final) == "aaaa"


def test_what_never_consolidates_has_no_rounds() -> None:
    driven, _ = run(still("ab"), still("abab"), still("abab"))
    assert driven.rounds == []
    assert names(driven.final) == names(driven.online) == "abab"


@pytest.mark.parametrize(
    ("before", "after", "merged", "changed", "aside"),
    [
        ("abcd", "abcd", {}, 0, 0),
        ("aabc", "aabb", {"c": "b"}, 0.25, 0),
        ("aabc", "aabb", {}, 0.25, 0.25),
        ("aabc", "aaaa", {"c": "b", "b": "a"}, 0.5, 0),  # merged twice in the round
        ("aabc", "aaab", {"c": "a"}, 0.5, 0.5),  # the merged cluster's item went elsewhere, and one left its cluster
        ("aaab", "aaxb", {}, 0.25, 0.25),  # split
        ("aabb", "zzzz", {"a": "z", "b": "z"}, 1, 0),
        ("aabb", "aabb", {"x": "y", "y": "q"}, 0, 0),  # ids that no item has
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_consolidation_that_moves_items(
    before: str, after: str, merged: dict[str, str], changed: float, aside: float, last: bool
) -> None:
    steps = [still(before), (before, after, merged)] if last else [(before, after, merged), still(after)]
    driven, _ = run(still(before[:2]), *steps)
    assert shares(driven) == [(changed, aside)]
    assert names(driven.final) == names([ord(of) for of in after])
    assert driven.rounds[0].decision_seconds == 0.25


def test_each_consolidation_counts_the_items_there_were() -> None:
    driven, _ = run(("ab", "aa", {}), ("aacd", "aaad", {"c": "a"}), still("aaad"))
    assert shares(driven) == [(0.5, 0.5), (0.25, 0)]


def test_progress_is_told() -> None:
    done: list[int] = []
    learner = Scripted([still("ab"), still("aba"), still("aba")])
    drive(lambda dimensions: learner, [compared_item(n) for n in range(3)], np.ones((3, 2), np.float32), 2, done.append)
    assert done == [2, 3]


# ---- figures -----------------------------------------------------------------------------------------------------

FOUR = Stream(
    tuple(compared_item(n) for n in range(4)),
    np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32),
    ("x", "x", "y", "y"),
)


def driven(**more: Any) -> Measured:
    known: dict[str, Any] = {
        "online": [0, 1, 2, 3], "final": [0, 0, 2, 2], "themes": [5, 5, 5, 5],
        "batch_seconds": [1.0, 0.25], "inline_round_seconds": [],
        "resident_bytes": 4001,
        "rounds": [MeasuredRound(0.5, 0.0, 0.0, 0.0), MeasuredRound(3.5, 3.0, 0.5, 0.25)],
    }  # fmt: skip
    return Measured(**{**known, **more})


def test_scores_are_of_the_first_and_of_the_last_clusters() -> None:
    found = figures(FOUR, driven())
    assert found["bcubed_f1_online"] == pytest.approx(2 / 3)
    assert found["bcubed_f1"] == found["oracle_bcubed_f1"] == pytest.approx(1)
    assert (found["oracle_ratio_online"], found["oracle_ratio"]) == pytest.approx((2 / 3, 1))
    assert (found["clusters_online"], found["clusters"], found["oracle_clusters"], found["labels"]) == (4, 2, 2, 2)
    assert found["all_singletons"]["bcubed_f1"] == found["one_cluster"]["bcubed_f1"] == pytest.approx(2 / 3)
    assert (found["themes"]["clusters"], found["themes"]["bcubed_precision"]) == (1, 0.5)
    assert (found["rounds_changed"], found["rounds_changed_merges_aside"]) == ([0.0, 0.5], [0.0, 0.25])


def test_speed_is_without_consolidations_and_pauses_without_what_is_done_aside() -> None:
    found = figures(FOUR, driven())
    assert found["items_per_s"] == 3  # four in 1.25 seconds
    assert found["batch_p99_ms"] == pytest.approx(992.5)
    assert (found["consolidation_s"], found["consolidation_us_per_item"]) == (4.0, 1_000_000)
    assert found["longest_pause_ms"] == 1000
    assert figures(FOUR, driven(rounds=[MeasuredRound(3.5, 1.5, 0, 0)]))["longest_pause_ms"] == 2000
    early = figures(FOUR, driven(inline_round_seconds=[1.5]))
    assert (early["items_per_s"], early["consolidation_s"], early["longest_pause_ms"]) == (3, 5.5, 1500)
    assert found["resident_bytes_per_item"] == 1000


def test_too_many_items_for_a_dendrogram_are_measured_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "MAX_ROWS", 3)
    found = figures(FOUR, driven())
    assert (found["oracle_bcubed_f1"], found["oracle_ratio"], found["oracle_threshold"]) == (None, None, None)
    assert found["bcubed_f1"] == pytest.approx(1)


def test_rounds_of_the_first_items_are_consolidations() -> None:
    items = [compared_item(n, text=f"item {n}") for n in range(60)]
    found = drive(CurrentClusterer, items, np.eye(60, dtype=np.float32), 20)
    assert len(found.batch_seconds) == 3
    assert len(found.inline_round_seconds) > 2
    assert min(found.inline_round_seconds) > 0


# ---- the process of its own --------------------------------------------------------------------------------------


def test_a_process_of_its_own_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(150, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = [compared_item(n, text=f"what {chr(97 + n % 26)}{chr(97 + n // 26)} says") for n in range(150)]
    done: list[int] = []
    alone = drive_alone(items, vectors, 40, done.append)
    here = drive(CurrentClusterer, items, vectors, 40)
    assert done == [40, 80, 120, 150]
    assert (alone.online, alone.final) == (here.online, here.final)
    assert len(set(alone.final)) > 1


def test_a_process_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SoulcasterError, match="ended with 1"):
        drive_alone([compared_item(0), compared_item(1)], np.ones((1, 2), np.float32), 2, lambda done: None)
    assert "Error" in capfd.readouterr().err


# ---- the command -------------------------------------------------------------------------------------------------

ROWS = "text,category\n" + "".join(
    f"{text} {n},{label}\n"
    for label, text in (
        ("card", "where is my new card"),
        ("rate", "what is the exchange rate"),
        ("pin", "change my PIN"),
    )
    for n in range(6)
)


def command(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["bench", "clustering", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_json_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS)
    found = json.loads(command("--texts", path, "--order", "shuffled", "--seed", 3, "--batch", 4, "--json"))
    assert (found["items"], found["labels"], found["left_out"], found["seed"], found["batch"]) == (18, 3, 0, 3, 4)
    assert (found["order"], found["shape"], found["embedder"]) == ("shuffled", "as-is", "static")
    assert found["one_cluster"]["bcubed_f1"] < found["bcubed_f1"] <= 1
    assert found["items_per_s"] > 0


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    content = ROWS.replace("text,category", "body,topic")
    path = write(tmp_path / "a.csv", content)
    text = command("--texts", path, "--text-column", "body", "--label-column", "topic", "--shape", "few-per-class")
    assert "9 items of 3 labels (few-per-class, arrival)" in " ".join(text.split())
    for row in ("at first", "at last", "best cut", "each alone", "all in one"):
        assert row in text


def test_vectors_come_from_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS)
    np.save(tmp_path / "v.npy", np.repeat(np.eye(3), 6, axis=0))
    found = json.loads(command("--texts", path, "--embeddings", tmp_path / "v.npy", "--json"))
    assert (found["bcubed_f1"], found["clusters"]) == (1, 3)
    assert found["embedder"].endswith("v.npy")


def ignore(what: str, done: int, total: int) -> None:
    pass


def test_a_mix_takes_all_files_and_the_vectors_of_each(tmp_path: Path) -> None:
    one = LabelledFile(write(tmp_path / "a.csv", ROWS))
    other = LabelledFile(write(tmp_path / "b.csv", "text,category\ntea please,drink\n"))
    np.save(tmp_path / "a.npy", np.ones((18, 2)))
    np.save(tmp_path / "b.npy", np.ones((1, 2)))
    data, vectors = load(Options((one, other)), ignore)
    assert (len(data.items), len(set(data.labels)), len(vectors)) == (19, 4, 19)
    given = Options((one, other), embeddings=(tmp_path / "a.npy", tmp_path / "b.npy"))
    assert load(given, ignore)[1].shape == (19, 2)


def test_each_set_of_a_mix_has_its_own_scores(tmp_path: Path) -> None:
    one = write(tmp_path / "a.csv", ROWS)
    other = write(tmp_path / "b.csv", "text,category\ntea please,drink\nwhere is my new card 9,drink\n")
    found = json.loads(command("--texts", one, "--mix", other, "--order", "shuffled", "--json"))
    assert (found["items"], found["labels"]) == (20, 4)
    assert [of_set["last"]["bcubed_recall"] for of_set in found["sets"]] == [1, 0.5]
    assert found["sets"][0]["last"]["bcubed_precision"] < 1  # an item of the other set is among its cards
    assert "b.csv, at last" in command("--texts", one, "--mix", other)


def test_a_mix_with_the_demo_data_needs_no_columns_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS.replace("text,category", "body,topic"))
    found = json.loads(
        command("--texts", path, "--text-column", "body", "--label-column", "topic", "--mix", "demo", "--json")
    )
    assert (found["items"], found["labels"]) == (18 + 3080, 3 + 77)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(embedder="static", embeddings=(Path("v.npy"),)), "--embedder or --embeddings, not both"),
        (Options((LabelledFile(), LabelledFile()), embeddings=(Path("a.npy"),)), "1 files of vectors for 2 of texts"),
        (Options((LabelledFile(), LabelledFile())), "Sets 1 and 2 have the same texts"),
        (Options((LabelledFile(text_column="body"),)), "no column 'body'; its columns are: text, category"),
    ],
)
def test_options_that_cannot_be_used_say_why(options: Options, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load(options, ignore)


def test_the_present_core_finds_plain_topics() -> None:
    data, _ = labelled([20] * 4)
    vectors = np.eye(4, dtype=np.float32)[[int(str(label).split()[1]) for label in data.labels]]
    items = stream(data, vectors, "as-is", "shuffled", 0)
    found = figures(items, drive(CurrentClusterer, items.items, items.vectors, 7))
    assert found["bcubed_f1"] == found["bcubed_f1_online"] == 1
