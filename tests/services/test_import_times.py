from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.services.import_times import parse_time


@given(
    at=st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_iso_times_are_read_back(at: datetime, minutes: int) -> None:
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(zoned.isoformat()) == zoned
    assert parse_time(zoned.isoformat(" ")) == zoned
    assert parse_time(at.isoformat()) == at.replace(tzinfo=UTC)


@given(seconds=st.integers(100_000_000, 4_000_000_000), scale=st.sampled_from([1, 1_000, 1_000_000]))
def test_epoch_times_are_read_in_seconds_ms_and_us(seconds: int, scale: int) -> None:
    if scale == 1 and str(seconds)[:2] in {"19", "20"} and len(str(seconds)) == 8:
        return  # a day
    assert parse_time(seconds * scale) == datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2012-05-03 14:22:33 -0700", "2012-05-03T14:22:33-07:00"),
        ("2012-05-03 14:22:33 UTC", "2012-05-03T14:22:33+00:00"),
        ("2012/05/03 14:22", "2012-05-03T14:22:00+00:00"),
        ("2012-05-03", "2012-05-03T00:00:00+00:00"),
        ("20120503", "2012-05-03T00:00:00+00:00"),
        ("Tue, 31 Oct 2017 22:10:47 +0000", "2017-10-31T22:10:47+00:00"),
        ("Tue Oct 31 22:10:47 +0000 2017", "2017-10-31T22:10:47+00:00"),
        ("Tue Oct 31 22:10:47 2017", "2017-10-31T22:10:47+00:00"),
        (" 2012-05-03T14:22:33Z ", "2012-05-03T14:22:33+00:00"),
        ("1700000000.5", "2023-11-14T22:13:20.500000+00:00"),
    ],
)
def test_common_forms_of_time_are_read(text: str, iso: str) -> None:
    assert parse_time(text) == datetime.fromisoformat(iso)


@pytest.mark.parametrize("value", ["", "yesterday", "10/31/2017", "9999-99-99", "1e5", True, "0001-01-01", "9" * 400])
def test_what_is_no_time_is_said_so(value: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(value)
