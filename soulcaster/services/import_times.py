"""Reading the times that exports of other systems contain."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_ZONE = re.compile(r"\s+(?:([+-]\d{2}):?(\d{2})|UTC|GMT|Z)$")
_DAY = re.compile(r"(19|20)\d{6}")
_NUMBER = re.compile(r"-?\d{1,19}(\.\d{1,9})?")
_LARGEST_SECONDS = 1e10
"""A larger number is not in seconds but in milliseconds, microseconds or nanoseconds."""


def parse_time(value: Any) -> datetime:
    """Return a time: ISO 8601 (with or without a space before the zone), e-mail's format, or epoch s, ms or us.

    A time without a zone is in UTC; a day is its midnight.

    Raises:
        ValueError: the value is none of these, or not between 1900 and 2200.
    """
    refusal = ValueError(
        f"{str(value)[:60]!r} is not a time: give ISO 8601 (2026-11-21T13:05:00Z) or seconds since 1970"
    )
    try:
        found = _parse(str(value).strip())
    except (ValueError, OverflowError, OSError) as error:
        raise refusal from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if not _EARLIEST < found < _LATEST:
        raise refusal
    return found


def _parse(text: str) -> datetime:
    if _DAY.fullmatch(text):
        return datetime.fromisoformat(text)  # 20261121 is a day, not a second of 1970
    if _NUMBER.fullmatch(text):
        number = float(text)
        while abs(number) > _LARGEST_SECONDS:
            number /= 1000
        return datetime.fromtimestamp(number, UTC)
    if text[:3].isalpha():
        return _parse_weekday_first(text)
    zone = _ZONE.search(text)
    if zone is not None:
        text = text[: zone.start()] + (f"{zone[1]}:{zone[2]}" if zone[1] else "+00:00")
    return datetime.fromisoformat(text.replace("/", "-"))


def _parse_weekday_first(text: str) -> datetime:
    """Read `Tue, 31 Oct 2017 22:10:47 +0000`, and `Tue Oct 31 22:10:47 +0000 2017` with or without its zone."""
    for form in ("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return parsedate_to_datetime(text)
