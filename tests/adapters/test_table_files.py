import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.adapters.table_files import open_table
from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row

FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    with open_table(path) as table:
        return table.columns, list(table.rows)


@given(rows=st.lists(st.tuples(FIELD, FIELD), max_size=20), end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], end: str, bom: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    columns, found = read(path)
    assert columns == ("a", "b")
    assert [(r.values["a"], r.values["b"]) for r in found] == rows
    assert [r.number for r in found] == list(range(1, len(rows) + 1))


@given(
    values=st.lists(st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.integers(), st.none())), min_size=1)
)
def test_what_json_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "some.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in [{"text": "x"}, *values]))
    _, found = read(path)
    assert [r.values for r in found[1:]] == values


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, "a.csv", f'"a;b,c"{delimiter}text\n1{delimiter}"2"\n')
    assert read(path) == (("a;b,c", "text"), [Row(1, 2, {"a;b,c": "1", "text": "2"})])


def test_quoted_newlines_make_one_row_and_count_as_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,n\r\n"one\r\ntwo",1\r\n\r\nthree,2\r\n')
    assert read(path)[1] == [Row(1, 3, {"text": "one\r\ntwo", "n": "1"}), Row(2, 5, {"text": "three", "n": "2"})]


def test_columns_without_a_name_or_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "text,,text\na,b,c\n"))[0] == ("text", "column 2", "text 2")


def test_a_row_with_too_many_fields_is_none_and_one_with_too_few_is_filled(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", "a,b\n1,2,3\n4\n"))[1]
    assert rows[0].problem == "has 3 fields, the header has 2"
    assert rows[1].values == {"a": "4"}


@pytest.mark.parametrize("tail", ['"open', '"open\nand,more\nrows,here\n'])
def test_an_open_quote_is_told_of_its_row_only(tmp_path: Path, tail: str) -> None:
    rows = read(write(tmp_path, "a.csv", f"text,b\ngood,1\n{tail}"))[1]
    assert [r.problem is None for r in rows] == [True, False]
    assert "quote" in (rows[1].problem or "")


def test_a_last_row_without_line_end_is_a_row(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", 'text\n"closed"'))[1] == [Row(1, 2, {"text": "closed"})]


def test_a_field_without_end_stops_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text\ngood\n"' + "x\n" * 9_000_000)
    with open_table(path) as table:
        assert next(table.rows).values == {"text": "good"}
        with pytest.raises(BadInput, match=r"after row 1 .*quote"):
            next(table.rows)


def test_utf_16_with_its_mark_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "text\tn\nGrüße\t1\n".encode("utf-16")))[1][0].values["text"] == "Grüße"


def test_bad_lines_of_json_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.jsonl", '{"t": 1}\n{bad\n\n[1]\n{"t": NaN}\n{"t": 2}\n'))[1]
    assert [(r.number, r.line, r.problem is None) for r in rows] == [
        (1, 1, True), (2, 2, False), (3, 4, False), (4, 5, False), (5, 6, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "has no rows"),
        ("a.jsonl", b"\n", "has no rows"),
        ("a.jsonl", b"nothing\n", "its line 1 is not JSON"),
        ("a.csv", "text\nGrüße\n".encode("latin-1"), "not UTF-8 .*near byte 7.* iconv"),
        ("a.csv", b"text\n" + b"x" * 2_000_000 + b"\xff", "near byte 2,000,005"),
        ("a.xlsx", b"PK", "kind"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_so_at_once(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says), open_table(write(tmp_path, name, content)):
        pass


def test_a_missing_file_and_a_directory_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    for path, says in ((tmp_path / "no.csv", "no file"), (tmp_path / "d.csv", "not a file")):
        with pytest.raises(BadInput, match=says), open_table(path):
            pass


def test_the_position_ends_at_the_size(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text\n" + "x\n" * 100_000)
    with open_table(path) as table:
        before = table.position()
        assert len(list(table.rows)) == 100_000
        assert before < table.position() == table.size == path.stat().st_size
