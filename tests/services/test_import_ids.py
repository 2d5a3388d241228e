import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.ports.rows import Row
from soulcaster.services.file_import import look_at_rows
from soulcaster.services.import_columns import Columns
from soulcaster.services.import_ids import EqualIds, settled
from soulcaster.services.import_survey import Survey, survey
from soulcaster.services.import_times import TimeRules

COLUMNS = Columns(text="text", id="key", title="head", time="at")
ROWS = [
    Row(number, number + 1, {"key": key, "text": text, "at": "2026-11-20"})
    for number, (key, text) in enumerate([("A", "one"), ("B", "two"), ("A", "three"), ("", "four"), ("A", "one")], 1)
]


def surveyed(rows: list[Row], columns: Columns = COLUMNS) -> Survey:
    return survey(rows, columns, TimeRules())


def texts(how: EqualIds) -> list[tuple[str, str]]:
    found = surveyed(ROWS)
    return [(row.values["key"], row.values["text"]) for row in settled(ROWS, COLUMNS, found.shared, how)]


def test_rows_that_share_an_id_are_known_by_their_numbers() -> None:
    assert surveyed(ROWS).shared.rows == {"A": [1, 3, 5]}


def test_the_last_counts_or_they_are_joined_or_numbered() -> None:
    assert texts("last") == [(row.values["key"], row.values["text"]) for row in ROWS]
    assert texts("join") == [("B", "two"), ("", "four"), ("A", "one\n\nthree")]
    assert texts("number") == [("A", "one"), ("B", "two"), ("A (2)", "three"), ("", "four"), ("A (3)", "one")]


KEYS = st.sampled_from(["", "A", "A (2)", "B"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(KEYS, st.sampled_from(["", "one", "two", "three"])), max_size=8),
    st.sampled_from(["last", "join", "number"]),
)
def test_every_text_is_in_an_item_or_its_row_is_told(values: list[tuple[str, str]], how: EqualIds) -> None:
    rows = [Row(n, n + 1, {"key": key, "text": text}) for n, (key, text) in enumerate(values, 1)]
    columns = Columns(text="text", id="key")
    found = surveyed(rows, columns)
    look = look_at_rows(rows, found, source="s", first=len(rows), equal_ids=how)
    items = {item["external_id"]: item["body"] for item in look.first}  # of one id the last
    told = {one.row.number for one in look.imported.refused}
    if how == "last":
        told |= {number for numbers in found.shared.rows.values() for number in numbers}
    for row in rows:
        assert row.number in told or any(row.values["text"] in body for body in items.values())


def test_a_number_that_is_taken_is_passed_over() -> None:
    rows = [Row(n, n, {"key": key, "text": f"{n}"}) for n, key in enumerate(["A", "A (2)", "A"], 1)]
    found = surveyed(rows, Columns(text="text", id="key"))
    assert [row.values["key"] for row in settled(rows, found.columns, found.shared, "number")] == [
        "A",
        "A (2)",
        "A (3)",
    ]


def test_of_a_joined_row_without_text_the_title_is_kept() -> None:
    rows = [Row(1, 1, {"key": "A", "head": "One", "text": "x"}), Row(2, 2, {"key": "A", "head": "Two", "text": ""})]
    [row] = settled(rows, COLUMNS, surveyed(rows).shared, "join")
    assert (row.values["head"], row.values["text"]) == ("One", "x\n\nTwo")


def test_equal_rows_lose_nothing_and_are_not_told() -> None:
    rows = [ROWS[0], Row(2, 3, ROWS[0].values)]
    found = surveyed(rows)
    assert found.shared.rows == {}
    assert list(settled(rows, COLUMNS, found.shared, "last")) == rows


def test_a_row_with_a_problem_shares_nothing() -> None:
    assert surveyed([*ROWS[:2], Row(3, 4, problem="is bad")]).shared.rows == {}


@pytest.mark.parametrize("own", ["1.23457E+18", "1,2E+20", "1234567890123450000"])
def test_an_id_that_a_spreadsheet_shortened_is_named(own: str) -> None:
    rows = [Row(n, n, {"key": own, "text": str(n)}) for n in (1, 2)]
    assert surveyed(rows).shared.shortened == own
    assert (surveyed(rows[:1]).shared.shortened == own) == ("E" in own)
    assert surveyed(ROWS).shared.shortened is None


@pytest.mark.parametrize(
    ("times", "keys", "role"),
    [
        (["2026-11-20", "03/04/2026"], ["A", "B"], "time"),
        (["2026-11-20", "some day"], ["A", "B"], "time"),
        (["2026-11-20", "2026-11-21"], ["A", "A"], "id"),
    ],
)
def test_a_guess_that_does_not_fit_every_row_is_given_up_and_told(times: list[str], keys: list[str], role: str) -> None:
    rows = [
        Row(n, n, {"key": key, "text": f"{n}", "at": at})
        for n, (key, at) in enumerate(zip(keys, times, strict=True), 1)
    ]
    guessed = Columns(text="text", id="key", time="at", guessed=frozenset({"id", "time"}))
    found = surveyed(rows, guessed)
    assert getattr(found.columns, role) is None
    assert f"--{role}-column" in found.notes[0]
    assert len(found.notes) == 1
    assert getattr(surveyed(rows, COLUMNS).columns, role) is not None


def test_the_whole_column_settles_the_order_of_days() -> None:
    rows = [Row(1, 2, {"text": "x", "at": "03/04/2026"}), Row(2, 3, {"text": "y", "at": "25/04/2026"})]
    assert surveyed(rows).times.read("03/04/2026").month == 4
