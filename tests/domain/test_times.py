from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from soulcaster.domain.sources._json import moment
from soulcaster.domain.times import EARLIEST, LATEST, read_number, read_time
from soulcaster.wire.fields import Time

HALF_PAST_EIGHT = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)
WIRE: TypeAdapter[datetime] = TypeAdapter(Time)


@given(
    at=st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30)),
    unit=st.sampled_from([10**0, 10**3, 10**6, 10**9]),
    as_text=st.booleans(),
)
def test_a_number_in_any_unit_is_its_time(at: datetime, unit: int, as_text: bool) -> None:
    seconds = int(at.replace(tzinfo=UTC).timestamp())
    number = seconds * unit
    assert read_number(str(number) if as_text else number) == datetime.fromtimestamp(seconds, UTC)


@given(st.integers(0, 10**19) | st.floats(0, 1e19))
def test_no_number_is_read_as_a_time_that_is_not_plausible(number: float) -> None:
    try:
        assert EARLIEST <= read_number(number) < LATEST
    except ValueError:
        return


@pytest.mark.parametrize("value", ["20261120203000", 20261120203000, "202611202030", "1795206600", 1_795_206_600_000.0])
def test_every_way_in_reads_the_same_number_as_the_same_time(value: Any) -> None:
    assert read_time(value) == moment(value) == WIRE.validate_python(value) == HALF_PAST_EIGHT


@pytest.mark.parametrize("value", [0, "0", -5, 46346.8541666667, "46346.8541666667", 2**63, 10**400, 1e300, True, None])
def test_no_way_in_takes_a_number_for_a_time_that_it_is_not(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_time(value)
    assert moment(value) is None
    with pytest.raises(ValidationError):
        WIRE.validate_python(value)


@pytest.mark.parametrize("value", ["20261120", 20261120, "2026-11-20"])
def test_a_day_alone_is_its_midnight_but_no_time_of_a_message(value: Any) -> None:
    assert (moment(value) or HALF_PAST_EIGHT) == HALF_PAST_EIGHT - timedelta(hours=20, minutes=30)
    with pytest.raises(ValidationError):
        WIRE.validate_python(value)
