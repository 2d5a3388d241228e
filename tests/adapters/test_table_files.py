import csv
import io
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.adapters.table_files import records as records_module
from soulcaster.adapters.table_files import workbook_size
from soulcaster.adapters.table_files.files import Reading, TableFile, open_table
from soulcaster.adapters.table_files.layout import unique_names
from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row
from soulcaster.services.import_columns import COLUMN_NAMES
from tests.support.workbooks import write_cells, write_workbook

FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
SIGNS = [",", ";", "\t", "|"]


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path, **reading: Any) -> tuple[TableFile, list[Row]]:
    with open_table(path, Reading(**{"names": COLUMN_NAMES} | reading)) as table:
        return table, list(table.rows)


def read(path: Path, **reading: Any) -> tuple[tuple[str, ...], list[Row]]:
    table, rows = opened(path, **reading)
    return table.columns, rows


def values(path: Path, **reading: Any) -> list[list[Any]]:
    return [list(row.values.values()) for row in read(path, **reading)[1]]


# ---- what is written is read back ------------------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=20),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    sign=st.sampled_from(SIGNS),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    named=st.booleans(),
)
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, ...]],
    end: str,
    sign: str,
    quoting: Any,
    encoding: str,
    named: bool,
) -> None:
    if quoting != csv.QUOTE_ALL:  # then `csv` quotes no other end of a line than its own
        rows = [tuple(field.replace("\r", "").replace("\n", end) for field in row) for row in rows]
    text = io.StringIO(newline="")
    header = ("key", "text", "plan")
    csv.writer(text, lineterminator=end, quoting=quoting, delimiter=sign).writerows([header, *rows])
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    columns, found = read(path, delimiter=sign if named else None)
    assert columns == header
    assert [tuple(row.values.values()) for row in found] == rows
    assert [row.number for row in found] == list(range(1, len(rows) + 1))


PLAIN = st.text('ab \\"\n', max_size=8)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=10),
    sign=st.sampled_from(SIGNS),
)
def test_quotes_after_a_backslash_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], sign: str
) -> None:
    text = io.StringIO(newline="")
    sure = ("1", 'the "Save, as" button', "x")  # without such a row nothing tells that \" is not the end of a field
    writer = csv.writer(text, delimiter=sign, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")
    writer.writerows([("key", "text", "plan"), sure, sure, *rows])
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    path.write_text(text.getvalue(), newline="")
    assert [tuple(one) for one in values(path)[2:]] == rows


@settings(deadline=None)
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


LINE = st.text('ab,";\\ 1', max_size=12)


@settings(deadline=None)
@given(lines=st.lists(LINE, max_size=12))
def test_every_line_is_in_a_row_or_told(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    path.write_text("key,text,plan\n" + "".join(f"{line}\n" for line in lines))
    _, found = opened(path, delimiter=",")
    end = 1
    for row in found:
        own = "".join(lines[end - 1 : row.line - 1])
        end = row.line
        taken = "".join(map(str, row.values.values()))
        assert row.problem is not None or all(taken.count(letter) == own.count(letter) for letter in "ab1;")
    assert not "".join(lines[end - 1 :]).strip()


def test_the_rows_can_be_read_again(tmp_path: Path) -> None:
    for name, content in (("a.csv", "text,n\na,1\nb,2\n"), ("a.jsonl", '{"text": "a"}\n{"text": "b"}\n')):
        with open_table(write(tmp_path, name, content)) as table:
            next(iter(table.rows))
            assert [row.values["text"] for row in table.rows] == ["a", "b"] == [r.values["text"] for r in table.rows]


# ---- delimiter and header --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", SIGNS)
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, "a.csv", f'"a;b,c"{delimiter}text\n1{delimiter}"2"\n')
    assert read(path) == (("a;b,c", "text"), [Row(1, 2, {"a;b,c": "1", "text": "2"})])


@pytest.mark.parametrize(
    "header", ["Name;Farben (rot, grün, blau, gelb)?;Was fehlt?", '"Na\nme";"Rot, grün?";Was fehlt?']
)
def test_the_delimiter_is_what_rows_agree_on(tmp_path: Path, header: str) -> None:
    table, rows = opened(write(tmp_path, "a.csv", f"{header}\nA;rot;Es hängt, oft\nB;blau;Alles, immer, überall\n"))
    assert "semicolons" in table.form
    assert [list(row.values.values())[2] for row in rows] == ["Es hängt, oft", "Alles, immer, überall"]


def test_a_delimiter_can_be_named(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "a^text\n1^x,y\n"), delimiter="^") == (
        ("a", "text"),
        [Row(1, 2, {"a": "1", "text": "x,y"})],
    )
    with pytest.raises(BadInput, match="no delimiter"):
        read(write(tmp_path, "a.csv", "a\n"), delimiter="::")


def test_commas_in_each_text_of_one_column_part_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "Antworten\nJa, gut\nNein, schlecht\nNa ja, es geht\n")
    assert values(path) == [["Ja, gut"], ["Nein, schlecht"], ["Na ja, es geht"]]


def test_a_stray_zero_makes_no_other_encoding(tmp_path: Path) -> None:
    assert values(write(tmp_path, "a.csv", "text\nfine\nGr\u00fc\0\u00dfe from here, and more of it\n"))[0] == ["fine"]


@pytest.mark.parametrize("name", ["text", "What, if anything, annoys you?"])
def test_commas_in_the_texts_of_one_column_part_nothing(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "a.csv", f"{name}\nSlow\nIt crashes, always\nNothing, nothing at all, or little, really\n")
    assert values(path) == [["Slow"], ["It crashes, always"], ["Nothing, nothing at all, or little, really"]]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;;;"])
def test_the_line_of_excel_names_the_delimiter(tmp_path: Path, line: str) -> None:
    assert values(write(tmp_path, "a.csv", f"{line}\r\nkey;text\r\n1;a, b\r\n")) == [["1", "a, b"]]


@pytest.mark.parametrize(
    "banner",
    [
        "Reviews of the shop",
        "Reviews of the shop, all stores, 2026",
        "Reviews of the shop\nExported: 2026-11-20, 10:00\n",
        "From:,2026-11-01,\nTo:,2026-11-20,",
    ],
)
def test_lines_before_the_names_are_no_rows_and_are_told(tmp_path: Path, banner: str) -> None:
    table, rows = opened(write(tmp_path, "a.csv", f"{banner}\n\nkey,title,text\n1,Bad,Crash\n2,Slow,Wait\n"))
    assert table.columns == ("key", "title", "text")
    assert [row.values["text"] for row in rows] == ["Crash", "Wait"]
    assert "before the names" in table.notes[0]


def test_the_header_can_be_named_by_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "x,y,z\nkey,text,plan\n1,a,b\n")
    assert read(path, header_row=2)[0] == ("key", "text", "plan")
    with pytest.raises(BadInput, match="line 9"):
        read(path, header_row=9)


def test_empty_fields_beyond_the_names_do_no_harm(tmp_path: Path) -> None:
    assert values(write(tmp_path, "a.csv", "key,text\n1,a,\n2,b,\n3,c,,,\n")) == [["1", "a"], ["2", "b"], ["3", "c"]]
    assert values(write(tmp_path, "b.csv", "key,text,,\n1,a,,\n2,b,,\n")) == [["1", "a"], ["2", "b"]]


def test_a_header_that_comes_again_is_no_row(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", "key,text\n1,a\nkey,text\n2,b\n"))[1]
    assert [row.problem for row in rows] == [None, "is the header again", None]


def test_the_second_and_third_header_row_of_surveys_are_no_rows(tmp_path: Path) -> None:
    import_id = json.dumps({"ImportId": "QID7"}).replace('"', '""')
    qualtrics = f'StartDate,ResponseId,Q7\nStart,Id,"Why, then?"\n"{import_id}","{import_id}","{import_id}"\nd,R,a b\n'
    monkey = "Respondent ID,Collector ID,Why?,Devices,\n,,Open-Ended Response,Phone,Tablet\n1,2,Because,x,\n3,4,,,x\n"
    table, rows = opened(write(tmp_path, "q.csv", qualtrics))
    assert (table.columns, [row.values["Q7"] for row in rows]) == (("StartDate", "ResponseId", "Q7"), ["a b"])
    assert "explain" in table.notes[0]
    table, rows = opened(write(tmp_path, "m.csv", monkey))
    assert table.columns == ("Respondent ID", "Collector ID", "Why?", "Devices", "Devices: Tablet")
    assert [row.values["Why?"] for row in rows] == ["Because", ""]


def test_a_first_row_without_its_first_fields_is_a_row(tmp_path: Path) -> None:
    assert values(write(tmp_path, "a.csv", "name,mail,text\n,,Great\nA,b,Bad\n")) == [
        ["", "", "Great"],
        ["A", "b", "Bad"],
    ]


def test_columns_without_a_name_or_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "text,,text\na,b,c\n"))[0] == ("text", "column 2", "text 2")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "a 2", "a 3", "", "column 1", "b"]), max_size=30))
def test_names_are_unique_and_none_is_lost(given_names: list[str]) -> None:
    names = unique_names(given_names)
    assert len(set(names)) == len(given_names)
    assert all(not own or name.startswith(own) for own, name in zip(given_names, names, strict=True))


def test_thousands_of_columns_of_one_name_take_as_many_steps() -> None:
    steps = 0

    def count(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        names = unique_names(["Comment"] * 5000)
    finally:
        sys.settrace(before)
    assert names[-1] == "Comment 5000"
    assert steps < 20 * 5000


# ---- quotes ----------------------------------------------------------------------------------------------------------


def test_quoted_newlines_make_one_row_and_count_as_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,n\r\n"one\r\ntwo",1\r\n\r\nthree,2\r\n')
    assert read(path)[1] == [Row(1, 3, {"text": "one\r\ntwo", "n": "1"}), Row(2, 5, {"text": "three", "n": "2"})]


def test_a_row_with_too_many_fields_is_none_and_one_with_too_few_is_filled(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", "a,b\n1,2,3\n4\n"))[1]
    assert rows[0].problem == "has 3 fields, the header has 2"
    assert rows[1].values == {"a": "4"}


def test_an_open_quote_is_told_and_swallows_no_row(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", 'key,text,n\n1,"never closed,2\n2,fine,3\n3,"also ""fine""",4\n4,end,5\n'))[1]
    assert "not closed" in (rows[0].problem or "")
    assert [row.values.get("text") for row in rows[1:]] == ["fine", 'also "fine"', "end"]


@pytest.mark.parametrize("begin", ["", '"', 'x"'])
def test_a_field_without_end_is_told_and_the_rest_is_read(tmp_path: Path, begin: str) -> None:
    endless = begin + "x" * (2 * records_module.MOST_RECORD_CHARS + 9)
    rows = read(write(tmp_path, "a.csv", f"text,n\n{endless},1\nfine,2\n"))[1]
    assert rows[0].problem
    assert rows[1].values.get("text") == "fine" or begin == '"'
    for content in (f"{endless}\ntext,n\n", endless):
        with pytest.raises(BadInput):
            read(write(tmp_path, "b.csv", content))


def test_what_follows_an_open_quote_in_its_text_is_no_row(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", 'key,text,n\n1,"first\nsecond "x" line\nthird",2\n2,fine,3\n'))[1]
    assert [row.problem is None for row in rows] == [False, False, False, True]
    assert "belong to row 1" in (rows[1].problem or "")


def test_quotes_within_one_line_are_read_as_they_are_meant(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'key,text,n\n1,"Save" does nothing,2\n2,5" screen,"3"\n3,"a, "b" c",4\n')
    rows = read(path)[1]
    assert [row.values.get("text") for row in rows] == ['"Save" does nothing', '5" screen', None]
    assert "quote" in (rows[2].problem or "")


def test_a_quote_after_a_backslash_stays_in_its_field(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'key,text\n1,"the \\"Go, now\\" button"\n2,"in C:\\new \\"x\\""\n3,fine\n')
    assert [row[1] for row in values(path)] == ['the "Go, now" button', 'in C:\\new "x"', "fine"]


def test_a_field_may_end_with_a_backslash(tmp_path: Path) -> None:
    assert values(write(tmp_path, "a.csv", 'key,text\n1,"C:\\"\n2,"D:\\"\n')) == [["1", "C:\\"], ["2", "D:\\"]]


def test_a_row_over_lines_that_look_like_rows_is_taken_but_told(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", 'key,text,n\n1,"open,2\n2,lost,3\n3,the 5",4\n4,fine,5\n'))[1]
    assert [row.doubt is None for row in rows] == [False, True]
    assert "line 2" in (rows[0].doubt or "")


def test_many_open_quotes_mean_another_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "MOST_UNCLOSED", 20)
    path = write(tmp_path, "a.csv", "key,text\n" + "1,fine\n" * 600 + '2,"open\n' * 21 + "3,x\n")
    with pytest.raises(BadInput, match="so many quotes"):
        read(path)


def test_a_last_row_without_line_end_is_a_row(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", 'text\n"closed"'))[1] == [Row(1, 2, {"text": "closed"})]


# ---- encodings -------------------------------------------------------------------------------------------------------


TEXTS = [
    ("cp1252", "Die Anmeldung schlägt fehl, das Löschen auch: „schön“"),
    ("cp1252", "Très lent, déjà à l'été"),
    ("cp1252", "José says that it crashes"),
    ("cp1250", "Nie mogę się zalogować, proszę o pomoc, wyświetla się błąd"),
    ("cp1251", "Приложение не запускается после обновления"),
    ("cp1253", "Η εφαρμογή δεν ανοίγει"),  # noqa: RUF001
    ("cp1254", "Uygulama açılmıyor, şifremi değiştiremiyorum"),
    ("cp932", "アプリが起動しません。検索も遅いです。"),
    ("gb18030", "应用程序无法启动,搜索太慢了,请修复"),
    ("big5", "應用程式無法啟動,搜尋太慢了"),
    ("euc-kr", "앱이 시작되지 않습니다. 검색이 너무 느려요."),
    ("utf-16-le", "Nothing works any more"),
    ("utf-16-be", "Nothing works any more"),
]


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_an_encoding_without_a_mark_is_found_and_told(tmp_path: Path, encoding: str, text: str) -> None:
    content = f"key;text\n1;{text}\n2;{text}\n"
    table, rows = opened(write(tmp_path, "a.csv", content.encode(encoding)))
    assert [row.values["text"] for row in rows] == [text] * 2
    assert "guess" in table.notes[0]


def test_a_letter_late_in_a_long_file_is_found(tmp_path: Path) -> None:
    content = "text\n" + "plain English\n" * 100_000 + "Grüße aus Köln, es ist schön\n"
    assert values(write(tmp_path, "a.csv", content.encode("cp1252")))[-1] == ["Grüße aus Köln, es ist schön"]


def test_a_named_encoding_is_obeyed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text\nGrüße\n".encode("cp437"))
    assert values(path, encoding="cp437") == [["Grüße"]]
    with pytest.raises(BadInput, match=r"not utf-8-sig \(near byte 7\)"):
        read(path, encoding="utf-8")
    for name in ("klingon", "rot13"):
        with pytest.raises(BadInput, match="no encoding"):
            read(path, encoding=name)


def test_utf_16_with_its_mark_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "text\tn\nGrüße\t1\n".encode("utf-16")))[1][0].values["text"] == "Grüße"


# ---- other kinds of file ---------------------------------------------------------------------------------------------


def test_a_workbook_is_read_like_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(
        path, {"Empty": [], "Data": [["Report"], ["key", "text", "n"], [12345678901234, "Grüße", 1.5]], "Old": [["x"]]}
    )
    table, rows = opened(path)
    assert table.columns == ("key", "text", "n")
    assert [row.values for row in rows] == [{"key": 12345678901234, "text": "Grüße", "n": 1.5}]
    assert "Old" in table.notes[0]
    assert "Line 1 before" in table.notes[1]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["A1", "XFD1048576"], "cells, empty ones"),
        (["A1", "ALL20000"], "cells, empty ones"),
        (["BZZ1", "A9999"], "cells, empty ones"),
        (["B2", "ZZZ9999999"], "cells, empty ones"),
        (["A1", "1A"], "no place"),
        (["A1", "A99999999999"], "no place"),
    ],
)
def test_cells_far_apart_make_no_large_table(tmp_path: Path, cells: list[str], says: str) -> None:
    path = tmp_path / "far.xlsx"
    write_cells(path, dict.fromkeys(cells, "text"))
    with pytest.raises(BadInput, match=says):
        opened(path)


def test_rows_far_down_without_cells_of_their_own_count_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    write_cells(path, {"XFD1": "text"}, more='<row r="1048576"><c t="inlineStr"><is><t>x</t></is></c></row>')
    with pytest.raises(BadInput, match="cells, empty ones"):
        opened(path)


def test_a_workbook_that_unpacks_to_much_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.xlsx"
    write_workbook(path, {"Reviews": [["text"], ["x" * 100_000]]})
    assert values(path) == [["x" * 100_000]]
    monkeypatch.setattr(workbook_size, "MOST_BYTES", 100_000)
    with pytest.raises(BadInput, match="unpacks to more"):
        opened(path)


def test_a_sheet_in_an_xml_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "entity.xlsx"
    write_cells(path, {"A1": "text"}, before='<!DOCTYPE a [<!ENTITY far "XFD1048576">]>')
    with pytest.raises(BadInput, match="document type"):
        opened(path)


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
        ("a.csv", b"sep=,\n", "has no rows"),
        ("a.csv", b'"text\n', "line 1 has a quote that is not closed"),
        ("a.jsonl", b"\n", "has no rows"),
        ("a.jsonl", b"nothing\n", "its line 1 is not JSON"),
        ("a.xlsx", b"PK", "cannot be read as a workbook"),
        ("a.pdf", b"PK", "kind"),
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
        rows = iter(table.rows)
        next(rows)
        before = table.position()
        assert len(list(rows)) == 99_999
        assert before < table.position() == table.size == path.stat().st_size
