"""One project's clusters: what is assigned stays, what was asked for is done once, and a restart changes nothing."""

import csv
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import soulcaster
from soulcaster.adapters.static_embedder import StaticEmbedder
from soulcaster.domain.clustering.core import NearestCentroid, Vectors
from soulcaster.domain.clustering.project import RECORD_BYTES, EmbedderKey, ProjectClusters, Step
from soulcaster.domain.commands import Fix, StartFix
from soulcaster.domain.events import ClusterChanged, ItemAssigned
from soulcaster.domain.feedback import Brief
from soulcaster.domain.ids import cluster_id_for, job_id_for
from soulcaster.domain.segments import RowChange, Segments
from tests.unit.make import NOW, brief, uid

DIMENSIONS = 4
A = EmbedderKey("a", "1", DIMENSIONS)
EMBEDDERS = [A, EmbedderKey("a", "2", DIMENSIONS), EmbedderKey("b", "1", DIMENSIONS), EmbedderKey("a", "1", 3)]


def vector(n: int, dimensions: int = DIMENSIONS) -> Vectors:
    one = np.random.default_rng(n % 7).normal(size=dimensions) + 0.05 * np.random.default_rng(n).normal(size=dimensions)
    return (one / np.linalg.norm(one)).astype(np.float32)


def command(n: int, cluster_id: str) -> StartFix:
    return StartFix(f"command {n}", cluster_id, "owner", NOW)


def load(table: dict[str, bytes]) -> ProjectClusters:
    return ProjectClusters("p", Segments(RECORD_BYTES, table), NearestCentroid)


def write(table: dict[str, bytes], rows: tuple[RowChange, ...]) -> None:
    for row in rows:
        if row.value is None:
            table.pop(row.key, None)
        else:
            table[row.key] = row.value


class Twins:
    """The same steps with and without a restart before each one; both must say the same."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}
        self.state = load(self.table)
        self.other: dict[str, bytes] = {}

    def do(self, what: str, *arguments: Any) -> Step:
        step: Step = getattr(self.state, what)(*arguments)
        restarted: Step = getattr(load(self.other), what)(*arguments)
        assert set(restarted.fixes) == set(step.fixes)
        assert [e.type for e in restarted.events] == [e.type for e in step.events]
        for mine, theirs in zip(step.events, restarted.events, strict=True):
            if isinstance(mine, ItemAssigned) and isinstance(theirs, ItemAssigned):
                assert (theirs.item_id, theirs.cluster_id, theirs.change) == (
                    mine.item_id,
                    mine.cluster_id,
                    mine.change,
                )
            else:
                assert theirs == mine
        write(self.table, step.rows)
        write(self.other, restarted.rows)
        return step


def cluster_ids() -> st.SearchStrategy[str]:
    return st.integers(0, 24).map(lambda n: cluster_id_for("p", uid(n)))


class ProjectMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins()
        self.clusters: dict[str, str] = {}  # item id -> cluster id
        self.by_embedder: dict[str, EmbedderKey] = {}  # cluster id -> embedder
        self.asked: dict[str, StartFix] = {}
        self.fixed: dict[str, Fix] = {}

    @rule(numbers=st.lists(st.integers(0, 24), min_size=1, max_size=12), which=st.sampled_from(EMBEDDERS))
    def add(self, numbers: list[int], which: EmbedderKey) -> None:
        # An item has its own text each time it comes: it keeps its cluster all the same.
        items = [brief(n, text=f"version {at} of {n}") for at, n in enumerate(numbers)]
        vectors = np.stack([vector(n + at, which.dimensions) for at, n in enumerate(numbers)])
        step = self.twins.do("add", which, items, vectors)
        new = {uid(n) for n in numbers} - self.clusters.keys()
        assigned = [event for event in step.events if isinstance(event, ItemAssigned)]
        changed = [event for event in step.events if isinstance(event, ClusterChanged)]
        assert Counter(event.item_id for event in assigned) == Counter(new)
        assert bool(step.rows) == bool(new)
        for event in assigned:
            self.clusters[event.item_id] = event.cluster_id
            if event.change == "opened":
                assert event.cluster_id == cluster_id_for("p", event.item_id)
            assert self.by_embedder.setdefault(event.cluster_id, which) == which
        sizes = Counter(self.clusters.values())
        assert {event.cluster_id: event.size for event in changed} == {
            event.cluster_id: sizes[event.cluster_id] for event in assigned
        }
        self.launched(step)

    @rule(n=st.integers(0, 12), data=st.data())
    def ask(self, n: int, data: st.DataObject) -> None:
        asked = self.asked.get(f"command {n}") or command(n, data.draw(cluster_ids()))
        self.asked[asked.id] = asked
        step = self.twins.do("start_fix", asked)
        assert step.events == ()
        self.launched(step)

    def launched(self, step: Step) -> None:
        for fix in step.fixes:
            assert fix.job_id not in self.fixed, "a command is launched once"
            self.fixed[fix.job_id] = fix
            assert fix.cluster_title
            assert fix.requested_by == "owner"

    @invariant()
    def items_are_where_they_were_put(self) -> None:
        everyone = [uid(n) for n in range(25)]
        expected = [self.clusters.get(i) for i in everyone]
        assert self.twins.state.cluster_of(everyone) == expected
        assert load(self.twins.table).cluster_of(everyone) == expected

    @invariant()
    def what_was_asked_of_a_known_cluster_is_launched_and_nothing_else(self) -> None:
        known = set(self.clusters.values())
        due = {job_id_for(c.id): c.cluster_id for c in self.asked.values() if c.cluster_id in known}
        assert {job_id: fix.cluster_id for job_id, fix in self.fixed.items()} == due

    @invariant()
    def sizes_are_counts(self) -> None:
        state = load(self.twins.table)
        for cluster_id, size in Counter(self.clusters.values()).items():
            cluster = state.cluster(cluster_id)
            assert cluster is not None
            assert cluster.size == size


TestProject = ProjectMachine.TestCase
TestProject.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def test_an_item_that_comes_twice_in_a_step_is_taken_in_its_newest_version() -> None:
    state = load({})
    old, new = brief("x", text="old"), brief("x", text="new")
    step = state.add(A, [old, brief("y"), new], np.stack([vector(1), vector(2), vector(3)]))
    assert [e.item_id for e in step.events if isinstance(e, ItemAssigned)] == [uid("y"), uid("x")]
    cluster = state.cluster(cluster_id_for("p", uid("x")))
    assert cluster is not None
    assert cluster.title == "new"


def test_two_embedders_never_meet() -> None:
    state = load({})
    same = np.stack([vector(1)])
    first = state.add(A, [brief("x")], same).events[0]
    second = state.add(EMBEDDERS[1], [brief("y")], same).events[0]
    third = state.add(A, [brief("z")], same).events[0]
    assert isinstance(first, ItemAssigned)
    assert isinstance(second, ItemAssigned)
    assert isinstance(third, ItemAssigned)
    assert (second.change, second.runner_up_id) == ("opened", None)
    assert third.cluster_id == first.cluster_id != second.cluster_id


def test_a_fix_of_a_cluster_that_is_known() -> None:
    table: dict[str, bytes] = {}
    state = load(table)
    write(table, state.add(A, [brief("x", text="Card is late")], vector(1)[None]).rows)
    asked = command(1, cluster_id_for("p", uid("x")))
    step = state.start_fix(asked)
    assert step.fixes == (Fix(job_id_for("command 1"), asked.cluster_id, "Card is late", "owner", NOW),)
    write(table, step.rows)
    assert state.start_fix(asked) == Step()
    assert load(table).start_fix(asked) == Step()
    assert load(table).start_fix(command(2, asked.cluster_id)).fixes != ()


def test_a_fix_of_a_cluster_that_is_not_known_yet_waits_for_it() -> None:
    table: dict[str, bytes] = {}
    asked = command(1, cluster_id_for("p", uid("x")))
    for _ in range(2):  # delivered twice
        step = load(table).start_fix(asked)
        assert (step.events, step.fixes) == ((), ())
        write(table, step.rows)
    write(table, load(table).add(A, [brief("other")], vector(1)[None]).rows)
    step = load(table).add(A, [brief("x")], vector(3)[None])
    assert [fix.job_id for fix in step.fixes] == [job_id_for("command 1")]
    write(table, step.rows)
    assert load(table).start_fix(asked) == Step()
    assert load(table).add(A, [brief("later")], vector(2)[None]).fixes == ()
    assert not any(key.startswith(b"command") for key in Segments(RECORD_BYTES, table).blobs())  # it waits no more


def test_a_step_is_one_row_so_an_item_is_assigned_and_counted_or_neither() -> None:
    table: dict[str, bytes] = {}
    items = [brief(n) for n in range(30)]
    step = load(table).add(A, items, np.stack([vector(n) for n in range(30)]))
    [row] = step.rows
    write(table, (row,))
    state = load(table)
    sizes = Counter(state.cluster_of([i.id for i in items]))
    assert sum(sizes.values()) == 30
    for cluster_id, size in sizes.items():
        cluster = state.cluster(cluster_id or "")
        assert cluster is not None
        assert cluster.size == size


def test_nothing_new_is_no_step() -> None:
    state = load({})
    state.add(A, [brief("x")], vector(1)[None])
    assert state.add(A, [brief("x", text="said otherwise")], vector(2)[None]) == Step()
    assert state.add(A, [], np.zeros((0, DIMENSIONS), np.float32)) == Step()
    assert state.cluster_of([]) == []


# ---- quality --------------------------------------------------------------------------------------------------------


def b_cubed_f1(clusters: list[str], labels: list[str]) -> float:
    """B-cubed F1 (Bagga and Baldwin 1998): precision and recall of each item's own cluster, averaged over items."""
    both = Counter(zip(clusters, labels, strict=True))
    of_cluster, of_label = Counter(clusters), Counter(labels)
    pairs = list(zip(clusters, labels, strict=True))
    precision = sum(both[pair] / of_cluster[pair[0]] for pair in pairs) / len(pairs)
    recall = sum(both[pair] / of_label[pair[1]] for pair in pairs) / len(pairs)
    return 2 * precision * recall / (precision + recall)


def test_b_cubed_itself() -> None:
    assert b_cubed_f1(["a", "a", "b"], ["x", "x", "y"]) == 1
    assert b_cubed_f1(["a", "a"], ["x", "y"]) == pytest.approx(2 / 3)
    assert b_cubed_f1(["a", "b"], ["x", "x"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_quality_on_real_messages(seed: int) -> None:
    path = Path(soulcaster.__file__).parent / "data" / "banking77.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(seed).shuffle(rows)
    items: list[Brief] = [brief((seed, n), text=row["text"]) for n, row in enumerate(rows)]
    labels = [row["category"] for row in rows]
    assert (len(rows), len(set(labels))) == (3080, 77)
    embedder = StaticEmbedder()
    vectors = embedder.embed_now([i.text for i in items])
    key = EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
    state = load({})
    for start in range(0, len(items), 100):
        state.add(key, items[start : start + 100], vectors[start : start + 100])
    found = [str(cluster) for cluster in state.cluster_of([i.id for i in items])]
    baseline = max(b_cubed_f1([i.id for i in items], labels), b_cubed_f1(["all"] * len(items), labels))
    assert b_cubed_f1(found, labels) > max(0.35, baseline + 0.2)
