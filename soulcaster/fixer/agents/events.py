"""Events that coding agents print: one JSON object a line, of which the sandbox may have cut the end."""

import json
from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]

MAX_DEPTH = 40
"""Objects and lists in one another, up to which a cut line is mended."""


def read_event(line: str) -> Event | None:
    """Return the JSON object of a line; of one that was cut, what is there of it. None where it is none."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = _mended(line)
    return found if isinstance(found, dict) else None


def _mended(line: str) -> object:
    """Return what a cut JSON text says: the text in which it ends is closed, or the field in which it ends left out."""
    closing = ""
    before_field: tuple[int, str] | None = None
    in_text = escaped = False
    for at, char in enumerate(line):
        if in_text:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_text = False
        elif char == '"':
            in_text = True
        elif char in "{[":
            closing = ("}" if char == "{" else "]") + closing
            if len(closing) > MAX_DEPTH:
                return None
        elif char in "}]":
            if not closing.startswith(char):
                return None
            closing = closing[1:]
        elif char == ",":
            before_field = at, closing
    candidates = [line + '"' + closing] if in_text else [line + closing]
    if in_text:  # an escape sequence of up to six characters may be cut, too
        candidates += [line[:-length] + '"' + closing for length in range(1, 6)]
    if before_field is not None:
        candidates.append(line[: before_field[0]] + before_field[1])
    for candidate in candidates:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return None


def text_of(event: object, *path: str) -> str:
    """Return the text at a path of names in an event, empty where there is none."""
    found = value_of(event, *path)
    return found if isinstance(found, str) else ""


def number_of(event: object, *path: str) -> float:
    """Return the number at a path of names in an event, 0 where there is none."""
    found = value_of(event, *path)
    return found if isinstance(found, int | float) and 0 <= found < 1e12 else 0


def value_of(event: object, *path: str) -> object:
    """Return what is at a path of names in an event, None where there is nothing."""
    for name in path:
        if not isinstance(event, Mapping):
            return None
        event = event.get(name)
    return event


def objects_of(event: object, *path: str) -> list[Event]:
    """Return the objects of the list at a path of names in an event."""
    found = value_of(event, *path)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
