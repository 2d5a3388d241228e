"""Reading the times that machines write: ISO 8601 and numbers. Every way in reads them by this one reader."""

import re
from datetime import UTC, datetime
from typing import Any

EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""A number is seconds (ms, µs, ns) since 1970 only if that gives a time between these; no two units overlap."""

_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?")
_MOST = 10**19
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Forms of digits alone, by their number: 20261120203000 is half past eight, not a millisecond of 2612."""

_ZONE = re.compile(r"(?<!\s)\s++(?:([+-]\d{2}):?(\d{2})|UTC|GMT|Z)$")


def is_number(value: Any) -> bool:
    """Return whether a value is a number, or text that is one."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_number(value: float | str) -> datetime:
    """Return the time that a number stands for: since 1970 in s, ms, µs or ns, or digits such as 20261120203000.

    Raises:
        ValueError: no such reading gives a plausible time.
    """
    refusal = ValueError(f"is no time from {EARLIEST.year} to {LATEST.year - 1} in any unit since 1970")
    if not isinstance(value, str) and not abs(value) < _MOST:
        raise refusal
    digits = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    form = _COMPACT.get(len(digits))
    if form is not None and digits.isdecimal():
        try:
            found = datetime.strptime(digits, form).replace(tzinfo=UTC)
        except ValueError:
            found = None
        if found is not None and EARLIEST <= found < LATEST:
            return found
    number = float(value)
    for unit in _UNITS:
        if EARLIEST.timestamp() <= number / unit < LATEST.timestamp():
            return datetime.fromtimestamp(number / unit, UTC)
    raise refusal


def read_time(value: Any) -> datetime:
    """Return a time given as ISO 8601 (a space before the zone is allowed) or as a number.

    One without a zone stays without, a day alone is its midnight.

    Raises:
        ValueError: it is neither.
    """
    if is_number(value):
        return read_number(value)
    if not isinstance(value, str):
        raise ValueError("is neither text nor a number")
    text = value.strip()
    zone = _ZONE.search(text)
    if zone is not None:
        text = text[: zone.start()] + (f"{zone[1]}:{zone[2]}" if zone[1] else "+00:00")
    return datetime.fromisoformat(text)
