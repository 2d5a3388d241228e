"""Numbers that a server writes in headers and answers: how long to wait, how much is left, how long a token is valid.

Nobody checks them before us. Every client reads them here, and no value raises an error.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

LONGEST_WAIT = 86_400.0
"""Most seconds that a server can make us wait."""

_MOST = 1e12
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"
"""The form of a date in HTTP (RFC 9110); nobody sends the two obsolete forms."""


def read_number(value: object) -> float | None:
    """Return a number from 0 up, given as a number or as text, at most 10^12; None if the value is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return min(float(value), _MOST)
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(min(value, _MOST))
    return None


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return for how many seconds Retry-After asks to wait, at most `LONGEST_WAIT`; None if it does not say."""
    value = headers.get("Retry-After", "").strip()
    seconds = read_number(value)
    if seconds is None:
        try:
            seconds = (datetime.strptime(value, _DATE).replace(tzinfo=UTC) - now).total_seconds()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
