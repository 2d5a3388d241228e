"""Reading untrusted JSON: each function takes any value and returns the requested type, or None."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from soulcaster.domain.text.normalize import clean
from soulcaster.domain.times import read_time

_MAX_ID_CHARS = 200
_MAX_URL_CHARS = 2_000
_MAX_NUMBER = 2**63
_DIGITS = re.compile(r"[0-9]{1,18}")
_URL = re.compile(r"https?://[^\s<>\"']+")


def at(value: Any, *path: str | int) -> Any:
    """Return the value at a path of keys and indexes; None if there is no such path."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """Return a text with visible characters, trimmed."""
    return value.strip() if isinstance(value, str) and clean(value) else None


def identifier(value: Any) -> str | None:
    """Return an id (a text or a whole number) as text."""
    number = whole(value) if isinstance(value, int) else None
    if number is not None:
        return str(number)
    found = text(value)
    return found if found and len(found) <= _MAX_ID_CHARS else None


def whole(value: Any) -> int | None:
    """Return a whole number from 0 up, given as a number or as text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if type(value) is int and 0 <= value < _MAX_NUMBER else None


def moment(value: Any) -> datetime | None:
    """Return a time in UTC, given as ISO 8601 (without a zone: UTC) or as a number since 1970."""
    try:
        when = read_time(value)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def web_address(value: Any) -> str | None:
    """Return a URL that can be shown as a link: http or https only."""
    found = text(value)
    return found if found and len(found) <= _MAX_URL_CHARS and _URL.fullmatch(found) else None


def known(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
