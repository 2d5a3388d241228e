"""`bench grouping`: one table for many labelled sets."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from soulcaster.bench.datasets import LabelledFile
from soulcaster.bench.grouping import Options, listed, measure
from soulcaster.cli.main import app
from soulcaster.errors import BadInput
from tests.bench.make import write


def rows(header: str, **topics: str) -> str:
    return header + "\n" + "".join(f"{text} {n},{label}\n" for label, text in topics.items() for n in range(30))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "cards.csv", rows("text,category", card="where is my new card", pin="please change my PIN"))
    write(tmp_path / "drinks.csv", rows("body,topic", tea="a cup of green tea", beer="two pints of cold beer"))
    write(
        tmp_path / "list.toml",
        '[cards]\ntexts = "cards.csv"\n[drinks]\ntexts = "drinks.csv"\ntext_column = "body"\nlabel_column = "topic"\n',
    )
    return tmp_path


def command(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["bench", "grouping", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_list_names_files_and_their_columns(folder: Path) -> None:
    columns = LabelledFile(title_column="head")
    assert listed(folder / "list.toml", columns) == {
        "cards": LabelledFile(folder / "cards.csv", "text", "head", "category"),
        "drinks": LabelledFile(folder / "drinks.csv", "body", "head", "topic"),
    }


def test_a_folder_lists_its_tables(folder: Path) -> None:
    found = listed(folder, LabelledFile())
    assert {name: file.path.name for name, file in found.items()} == {"cards": "cards.csv", "drinks": "drinks.csv"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[a]\ntext_column = 'b'\n", "missing required field `texts`"),
        ("[a]\ntexts = 'a.csv'\nlable = 'b'\n", "unknown field `lable`"),
        ("[a\n", "cannot be read as a list"),
        ("", "has no sets"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        listed(write(tmp_path / "list.toml", content), LabelledFile())


def test_each_set_and_each_sample_of_it_is_a_row(folder: Path) -> None:
    found = json.loads(command(folder / "list.toml", "--samples", "--json"))
    assert [(one["name"], one["items"], one["labels"]) for one in found] == [
        ("cards, 50", 50, 2),
        ("cards", 60, 2),
        ("drinks, 50", 50, 2),
        ("drinks", 60, 2),
    ]
    assert all(one["last"]["bcubed_f1"] > one["alone_f1"] for one in found)
    assert all(one["oracle_f1"] == pytest.approx(1) for one in found)


def test_all_sets_in_one_stream_have_a_row_each(folder: Path) -> None:
    found = json.loads(command(folder / "list.toml", "--mix", "--json"))
    assert [(one["name"], one["items"], one["labels"]) for one in found] == [("cards", 60, 2), ("drinks", 60, 2)]
    table = command(folder / "list.toml", "--mix")
    assert all(word in table for word in ("cards", "drinks", "F0.5", "each alone"))


def test_samples_of_a_mix_are_refused(folder: Path) -> None:
    sets = listed(folder / "list.toml", LabelledFile())
    with pytest.raises(BadInput, match="--mix or --samples"):
        list(measure(sets, Options(mix=True, samples=True), lambda what, done, total: None))
