"""Numbers of headers and answers, whatever a server writes."""

import ast
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import soulcaster
from soulcaster.http_numbers import LONGEST_WAIT, read_number, read_retry_after

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MANY_DIGITS = "9" * 5_000


@pytest.mark.parametrize(
    ("value", "number"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("0.", 0.0), (3, 3.0), (2.5, 2.5)]
    + [(much, 1e12) for much in (MANY_DIGITS, 10**400, 1e308, float("inf"))],
)
def test_a_number_is_read(value: object, number: float) -> None:
    assert read_number(value) == number


@pytest.mark.parametrize(
    "value", ["", "-1", -1, "nan", "inf", "1e5", "1_0", "٣", "soon", " ", None, True, [], float("nan")]
)
def test_what_is_no_number_is_none(value: object) -> None:
    assert read_number(value) is None


def test_retry_after_is_seconds_or_a_date() -> None:
    assert read_retry_after({"Retry-After": "90"}, NOW) == 90
    date = format_datetime(NOW + timedelta(minutes=30), usegmt=True)
    assert read_retry_after({"Retry-After": date}, NOW) == 1800
    assert read_retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, NOW) == 0
    assert read_retry_after({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, NOW) == LONGEST_WAIT
    assert read_retry_after({}, NOW) is None


@given(st.text("0123456789 ,:+-.GMTMonJan", max_size=60) | st.integers().map(str))
@example(MANY_DIGITS)
@example("Mon, 01 Jan 99999999999 00:00:00 GMT")
@example("Mon, 01 Jan 2026 00:00:00 +9999999999999")
@example("Mon, 01 Jan 2026 99999999999:00:00 GMT")
@example(f"Mon, 01 Jan {MANY_DIGITS} 00:00:00 GMT")
def test_no_header_makes_us_wait_for_ever_or_raises(value: str) -> None:
    seconds = read_retry_after({"Retry-After": value}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize("room", ["adapters", "pollers", "launcher", "services"])
def test_no_client_reads_the_header_by_itself(room: str) -> None:
    package = Path(soulcaster.__file__).parent
    reading = [
        str(path.relative_to(package))
        for path in (package / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() == "retry-after"
    ]
    assert reading == []
