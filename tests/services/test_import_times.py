from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.errors import BadInput
from soulcaster.services.import_times import ColumnTimes, TimeRules, zone_named


def read(*values: object, rules: TimeRules | None = None) -> list[str]:
    """Return a column's times, or what is said of those that are none."""
    times = ColumnTimes(rules or TimeRules())
    times.see(values)
    found = []
    for value in values:
        try:
            found.append(times.read(value).isoformat())
        except ValueError as error:
            found.append(str(error))
    return found


@given(
    at=st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_iso_times_are_read_back(at: datetime, minutes: int) -> None:
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    times = ColumnTimes()
    assert times.read(zoned.isoformat()) == zoned
    assert times.read(zoned.isoformat(" ")) == zoned
    assert times.read(at.isoformat()) == at.replace(tzinfo=UTC)


FORMS = (
    "%B %d, %Y %I:%M %p", "%d/%b/%y %I:%M %p", "%d %b %Y %H:%M", "%A, %d %B %Y at %I:%M %p", "%I:%M %p, %b %d %Y",
    "%Y/%m/%d %H:%M", "%d.%m.%Y, %H:%M", "%d/%b/%Y:%H:%M", "%Y%m%d%H%M", "%Y年%m月%d日 %H:%M",
)  # fmt: skip


@settings(deadline=None)  # dateparser loads its languages as they are needed
@given(at=st.datetimes(datetime(1990, 1, 1), datetime(2068, 1, 1)), form=st.sampled_from(FORMS))
def test_what_people_write_is_read_as_they_mean_it(at: datetime, form: str) -> None:
    at = at.replace(second=0, microsecond=0, tzinfo=UTC)
    assert read(at.strftime(form)) == [at.isoformat()]


@given(
    days=st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2068, 1, 1)), min_size=1, max_size=5),
    form=st.sampled_from(
        ["%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%m/%d/%y %I:%M %p", "%d-%m-%Y", "%d/%m/%y", "%y/%m/%d"]
    ),
)
def test_a_day_in_digits_is_read_right_or_not_at_all(days: list[datetime], form: str) -> None:
    whole = [datetime.strptime(day.strftime(form), form).replace(tzinfo=UTC).isoformat() for day in days]
    for right, found in zip(whole, read(*(day.strftime(form) for day in days)), strict=True):
        assert found == right or "could be" in found


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2012-05-03 14:22:33 -0700", "2012-05-03T14:22:33-07:00"),
        ("2012-05-03 14:22:33 UTC", "2012-05-03T14:22:33+00:00"),
        ("2012-05-03 14:22:33.5 +0000 UTC", "2012-05-03T14:22:33.500000+00:00"),
        ("2012-05-03", "2012-05-03T00:00:00+00:00"),
        ("20120503", "2012-05-03T00:00:00+00:00"),
        ("Tue, 31 Oct 2017 22:10:47 +0000", "2017-10-31T22:10:47+00:00"),
        ("Tue Oct 31 22:10:47 +0000 2017", "2017-10-31T22:10:47+00:00"),
        ("Tue Oct 31 22:10:47 PDT 2017", "2017-10-31T22:10:47-07:00"),
        (" 2012-05-03T14:22:33Z ", "2012-05-03T14:22:33+00:00"),
        ("1700000000.5", "2023-11-14T22:13:20.500000+00:00"),
        ("Tue Oct 31 2017 22:10:47 GMT+0530 (India Standard Time)", "2017-10-31T22:10:47+05:30"),
        ("Oct 31, 2017, 10:10\u202fPM", "2017-10-31T22:10:00+00:00"),
        ("10/31/2017 12:05 a.m.", "2017-10-31T00:05:00+00:00"),
        ("10/31/2017 12:05:09 PM", "2017-10-31T12:05:09+00:00"),
        ("31. Oktober 2017, 22:10 Uhr", "2017-10-31T22:10:00+00:00"),
        ("31 octobre 2017 à 22h10", "2017-10-31T22:10:00+00:00"),
        ("2017. 10. 31. 오후 10:10", "2017-10-31T22:10:00+00:00"),
        ("2017-10-31 22:10 Europe/Berlin", "2017-10-31T22:10:00+01:00"),
        ("5/5/2017", "2017-05-05T00:00:00+00:00"),
    ],
)
def test_common_forms_of_time_are_read(text: str, iso: str) -> None:
    assert read(text) == [iso]


@pytest.mark.parametrize(
    ("column", "right"),
    [
        (["03/04/2026", "25/04/2026"], ["2026-04-03", "2026-04-25"]),
        (["03/04/2026", "04/25/2026"], ["2026-03-04", "2026-04-25"]),
        (["03.04.2026", "04.05.2026"], ["2026-04-03", "2026-05-04"]),
        (["03.04.2026", "04.25.2026"], ["2026-03-04", "2026-04-25"]),
    ],
)
def test_any_row_settles_the_order_of_the_whole_column(column: list[str], right: list[str]) -> None:
    assert [found[:10] for found in read(*column)] == right


@pytest.mark.parametrize(
    "column", [["03/04/2026"], ["03-04-2026"], ["03/04/2026", "25/04/2026", "04/25/2026"], ["26/11/20"]]
)
def test_a_day_that_could_be_two_is_refused(column: list[str]) -> None:
    assert "could be" in read(*column)[0]
    assert "--time-format" in read(*column)[0]


def test_a_zone_of_several_meanings_is_refused_unless_the_person_says_which() -> None:
    assert "several meanings" in read("20 Nov 2026 20:30 IST")[0]
    rules = TimeRules(zone=zone_named("Asia/Kolkata"))
    assert read("20 Nov 2026 20:30 IST", rules=rules) == ["2026-11-20T20:30:00+05:30"]


def test_a_given_form_and_zone_are_obeyed() -> None:
    rules = TimeRules("%d/%m/%Y %H.%M", zone_named("Europe/Berlin"))
    assert read("03/04/2026 20.30", rules=rules) == ["2026-04-03T20:30:00+02:00"]
    assert "is not a time" in read("2026-04-03", rules=rules)[0]
    assert read("2026-04-03 10:00", rules=TimeRules(zone=zone_named("-05:00"))) == ["2026-04-03T10:00:00-05:00"]
    with pytest.raises(BadInput, match="no time zone"):
        zone_named("Middle/Earth")


@pytest.mark.parametrize(
    "value",
    [
        "", "yesterday", "31/31/2017", "9999-99-99", "1e5", True, "0001-01-01", "9" * 400, "Nov 20", "8:30 PM", "2",
        "November 2026", "31 November 2026", "Nov 20 2026 20:30 AM", "Nov 20 2026 25:30", "45000.5", "1.2.3",
        "x" * 9999,
        "20 Nov 2026 20:30 and 21:30", "20 Foo 2026", "version 20.11.2026 is bad",
    ],
)  # fmt: skip
def test_what_is_no_time_is_said_so(value: object) -> None:
    assert "is not a time" in read(value)[0]


def test_the_number_of_a_day_in_a_spreadsheet_is_named_as_such() -> None:
    assert "spreadsheet" in read("46346.8541666667")[0]


@settings(deadline=None)
@given(
    st.text(max_size=60) | st.from_regex(r"[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}( [0-9]{1,2}:[0-9]{2} ?(AM|PM)?)?")
)
def test_any_text_is_a_time_or_told_why_not(text: str) -> None:
    [found] = read(text)
    assert found
