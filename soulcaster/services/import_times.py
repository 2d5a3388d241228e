"""Reading the times that exports of other systems contain, as people of any country write them.

What machines write is read by `domain.times`. Here is the rest: clocks of 12 hours, names of months and zones, and days
of which only the whole column tells whether 03/04/2026 is in March or in April. What could mean two things is refused.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from soulcaster.domain.times import is_number, read_time
from soulcaster.errors import BadInput

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MOST_CHARS = 100
_CENTURY, _PIVOT = 2000, 70
"""A year of two digits is one of 1970 to 2069."""

_BEFORE_NOON = ("am", "a.m.", "a. m.", "오전", "上午", "午前")
_AFTER_NOON = ("pm", "p.m.", "p. m.", "오후", "下午", "午後")
_HALF = "|".join(re.escape(half) for half in sorted(_BEFORE_NOON + _AFTER_NOON, key=len, reverse=True))
_CLOCK = re.compile(
    rf"(?:^|(?<=[\sT,:])|(?<=\d[T]))(?:(?P<before>{_HALF})\s*)?(?P<hour>\d{{1,2}})"
    rf"(?:[:h](?P<minute>\d{{2}})(?::(?P<second>\d{{2}})(?:[.,](?P<fraction>\d{{1,9}}))?)?(?:\s*(?P<after>{_HALF})(?!\w))?"
    rf"|\s*(?P<hour_half>{_HALF})(?!\w))(?![\d:])",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"\s*(?:(?:UTC|GMT)\s*)?([+-])(\d{1,2})(?::?(\d{2}))?(?!\d)(?:\s+(?:UTC|GMT)(?!\w))?")
_ZONE_NAME = re.compile(r"\s*([A-Z]{1,5}|[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_+-]+)+)(?![\w/])")
_COMMENT = re.compile(r"(?<!\s)\s*+\([^()]*\)$")
_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_NUMERIC_DAY = re.compile(r"(\d{1,4})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{1,4})\.?")
_WORDED_DAY = re.compile(
    r"(?=.*[^\W\d_])(?=(?:\D*\d++){2,3}\D*$)(?=.*(?:\d{4}|\b\d{1,2}\W*[^\W\d]+\W*\d{2}\b))[\w\s.,/'-]{6,50}"
)
"""A word, two or three numbers, one of them a year: less is not worth the milliseconds that dateparser takes."""

_MAYBE_NUMERIC = re.compile(r"(?<!\d)\d{1,2}\s?[./-]\s?\d{1,2}\s?[./-]")
_NUMBERS = re.compile(r"\d+")
_DAY_COUNT = range(20_000, 80_000)
"""A spreadsheet counts days since 1900; these are the years 1954 to 2119."""

_ZONE_HOURS = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8,
    "HST": -10, "BRT": -3, "SAST": 2, "SGT": 8, "HKT": 8, "PHT": 8, "WIB": 7, "JST": 9, "KST": 9, "AWST": 8, "AEST": 10,
    "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Names of zones in hours; those of North America as RFC 2822 has them."""

_AMBIGUOUS_ZONES = frozenset({"IST", "BST", "AST", "ADT", "SST", "GST", "ACT", "ECT", "AMT", "PST8PDT"})


class _DayOrder(NamedTuple):
    """At which place of a numeric date the year, the month and the day stand."""

    year: int
    month: int
    day: int


_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST = _DayOrder(0, 1, 2), _DayOrder(2, 1, 0), _DayOrder(2, 0, 1)


class _Pieces(NamedTuple):
    """A time in its parts: the text of its day, its time of day, and its zone if it names one."""

    day: str
    clock: time
    zone: tzinfo | str | None
    halves: bool = False
    """Whether its clock has 12 hours."""


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How a column's times are to be read: a form of `strptime`, if given, and the zone of times without one."""

    form: str | None = None
    zone: tzinfo = UTC


def zone_named(name: str) -> tzinfo:
    """Return a time zone by its name (Europe/Berlin, UTC) or its offset (+02:00).

    Raises:
        BadInput: there is no such zone.
    """
    offset = _OFFSET.fullmatch(name.strip())
    try:
        return _fixed(offset) if offset is not None else ZoneInfo(name.strip())
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise BadInput(
            f"{name!r} is no time zone: give a name such as Europe/Berlin, or an offset as +02:00."
        ) from error


@dataclass(slots=True)
class ColumnTimes:
    """Reads the times of one column. Let it `see` the column first: any row may settle the order of all days."""

    rules: TimeRules = field(default_factory=TimeRules)
    _orders: dict[str, frozenset[_DayOrder]] = field(default_factory=dict)

    def see(self, values: Iterable[Any]) -> None:
        """Note which orders of day, month and year these values allow."""
        for value in values:
            pieces = _pieces_of_numeric(value)
            match = None if pieces is None else _NUMERIC_DAY.fullmatch(pieces.day)
            if pieces is not None and match is not None:
                possible = frozenset(_possible(match, pieces.halves))
                self._orders[match[2]] = self._orders.get(match[2], possible) & possible

    def read(self, value: Any) -> datetime:
        """Return the time that a value of the column stands for.

        Raises:
            ValueError: it is no time, or could be two; the message says which.
        """
        text = str(value).strip()
        try:
            found = self._read(value, text[: _MOST_CHARS + 1])
        except _TwoReadings as error:
            raise ValueError(f"{text[:60]!r} {error}") from error
        except (ValueError, OverflowError, BadInput) as error:
            raise ValueError(f"{text[:60]!r} is not a time{_advice(text)}") from error
        if found.tzinfo is None:
            found = found.replace(tzinfo=self.rules.zone)
        if not _EARLIEST < found < _LATEST:
            raise ValueError(f"{text[:60]!r} is not a time of 1900 to 2199")
        return found

    def _read(self, value: Any, text: str) -> datetime:
        if self.rules.form is not None:
            return datetime.strptime(text, self.rules.form)
        try:
            return read_time(value)
        except ValueError:
            if is_number(value) or not isinstance(value, str) or len(text) > _MOST_CHARS:
                raise
        pieces = _split(text)
        day = self._day(pieces)
        found = datetime.combine(day, pieces.clock)
        if isinstance(pieces.zone, str):
            own = found.replace(tzinfo=self.rules.zone)
            if own.tzname() != pieces.zone:
                raise _TwoReadings(f"is in the zone {pieces.zone}, which has several meanings: give --timezone")
            return own
        return found.replace(tzinfo=pieces.zone)

    def _day(self, pieces: _Pieces) -> datetime:
        match = _NUMERIC_DAY.fullmatch(pieces.day)
        if match is None:
            day = _worded_day(pieces.day)
            if day is None:
                raise ValueError("no day, month and year")
            return day
        possible = _possible(match, pieces.halves)
        settled = self._orders.get(match[2], frozenset(possible))
        left = {order: day for order, day in possible.items() if order in settled} or possible
        if settled and match[2] == "." and _DAY_FIRST in left:  # so it is written wherever days have points
            return left[_DAY_FIRST]
        days = set(left.values())
        if not days:
            raise ValueError("no such day")
        if len(days) > 1:
            first, second = (f"{day:%d %B %Y}" for day in sorted(days)[:2])
            raise _TwoReadings(f"could be {first} or {second}, and no row of the column tells: give --time-format")
        return days.pop()


class _TwoReadings(ValueError):
    """A value that could mean two times."""


def _advice(text: str) -> str:
    if is_number(text):
        count = float(text)
        if int(count) in _DAY_COUNT:
            return ": it looks like a day's number in a spreadsheet; give the column a date format there"
        return ": no unit since 1970 gives a plausible one"
    return ": give ISO 8601 (2026-11-21T13:05:00Z), or its form by --time-format"


def _plain(text: str) -> str:
    """Return text with ordinary spaces and digits, without marks of direction and a comment at its end."""
    text = " ".join(unicodedata.normalize("NFKC", _MARKS.sub("", text)).split())
    return _COMMENT.sub("", text)


def _split(text: str) -> _Pieces:
    text = _plain(text)
    clocks = list(_CLOCK.finditer(text))
    if len(clocks) > 1:
        raise ValueError("two times of day")
    if not clocks:
        return _Pieces(text, time(), None)
    [clock] = clocks
    end, zone = _zone_at(text, clock.end())
    before = re.sub(r"(?<=\d)T$|:$", "", text[: clock.start()]).strip(" ,;")
    after = text[end:].strip(" ,;")
    return _Pieces(f"{before} {after}".strip(), _clock(clock), zone, _half(clock) is not None)


def _half(clock: re.Match[str]) -> str | None:
    half = clock["before"] or clock["after"] or clock["hour_half"]
    return half and half.lower()


def _clock(match: re.Match[str]) -> time:
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    half = _half(match)
    if half in _BEFORE_NOON:
        if hour > 12:
            raise ValueError("an hour after noon, before noon")
        hour %= 12
    elif half is not None:
        if hour == 0:
            raise ValueError("hour 0 after noon")
        hour = hour if hour >= 12 else hour + 12
    return time(hour, minute, second, int((match["fraction"] or "0")[:6].ljust(6, "0")))


def _zone_at(text: str, at: int) -> tuple[int, tzinfo | str | None]:
    """Return where the zone after a time of day ends, and the zone; the name itself if it has several meanings."""
    offset = _OFFSET.match(text, at)
    if offset is not None:
        return offset.end(), _fixed(offset)
    named = _ZONE_NAME.match(text, at)
    if named is None:
        return at, None
    name = named[1]
    if name in _ZONE_HOURS:
        return named.end(), timezone(timedelta(hours=_ZONE_HOURS[name]))
    if name in _AMBIGUOUS_ZONES:
        return named.end(), name
    if "/" in name:
        return named.end(), zone_named(name)
    return at, None


def _fixed(offset: re.Match[str]) -> timezone:
    span = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return timezone(-span if offset[1] == "-" else span)


def _pieces_of_numeric(value: Any) -> _Pieces | None:
    if not isinstance(value, str) or len(value) > _MOST_CHARS or not _MAYBE_NUMERIC.search(value):
        return None
    try:
        return _split(value)
    except (ValueError, BadInput):
        return None


def _possible(match: re.Match[str], halves: bool) -> dict[_DayOrder, datetime]:
    """Return the days that a numeric date can be, by the order that makes it that day."""
    parts = match[1], match[3], match[4]
    if len(parts[0]) > 2:
        orders = [_YEAR_FIRST]
    elif len(parts[2]) > 2 or halves or match[2] == ".":  # a year of two digits comes first only where these are not
        orders = [_DAY_FIRST, _MONTH_FIRST]
    else:
        orders = [_DAY_FIRST, _MONTH_FIRST, _YEAR_FIRST]
    found = {}
    for order in orders:
        year, month, day = (parts[place] for place in order)
        try:
            found[order] = datetime(_year(year), int(month), int(day))
        except ValueError:
            continue
    return found


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    if len(digits) != 2:
        raise ValueError("no year")
    return year + (_CENTURY if year < _PIVOT else _CENTURY - 100)


@lru_cache(maxsize=10_000)
def _worded_day(text: str) -> datetime | None:
    """Return a day whose month is a word, in any language that dateparser knows; None if it is none.

    Cached, because it takes milliseconds, and a column has far fewer days than rows.
    """
    if not _WORDED_DAY.fullmatch(text):
        return None
    from dateparser.date import DateDataParser

    settings = {"STRICT_PARSING": True, "PARSERS": ["absolute-time"], "REQUIRE_PARTS": ["day", "month", "year"]}
    found = DateDataParser(settings={**settings, "DATE_ORDER": "DMY"}).get_date_data(text).date_obj
    if found is None or found.tzinfo is not None or found.time() != time():
        return None
    says = {int(number) % 100 for number in _NUMBERS.findall(text)}
    return datetime(found.year, found.month, found.day) if says >= {found.day, found.year % 100} else None
