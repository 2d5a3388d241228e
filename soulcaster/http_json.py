"""JSON that a server answers: bounded in what it becomes, not only in bytes. `{},` is 3 bytes, and 72 in memory."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

MOST_PARTS = 1_000_000
"""Texts, brackets and commas of an answer; a page of a hundred posts or issues has a few thousand."""

_WINDOW = 256 * 1024
_BACKSLASHES = re.compile(rb"(?:\\)*+")


class TooManyParts(ValueError):
    """An answer that would become more objects than anything that is asked for has."""


def parse_json(body: bytes | bytearray, hook: Callable[[Sequence[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return what an answer says; `hook` makes its objects, as that of `json.loads` does.

    Raises:
        TooManyParts: it has more than `MOST_PARTS`.
        ValueError: it is not JSON in UTF-8.
        RecursionError: it is too deep.
    """
    if len(body) > MOST_PARTS:
        _check_parts(body)
    return json.loads(body.decode("utf-8-sig"), object_pairs_hook=hook)


def _check_parts(body: bytes | bytearray) -> None:
    """Count what is outside of texts, window by window: that takes no memory to speak of, and other threads get on."""
    inside, count = 0, 0
    for window in _windows(body):
        between = window.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        structure = b"".join(between[inside::2])
        count += (len(between) - inside) // 2 + sum(structure.count(sign) for sign in b",[{")
        if count > MOST_PARTS:
            raise TooManyParts(f"the answer has more than {MOST_PARTS:,} parts")
        inside ^= 1 - len(between) % 2


def _windows(body: bytes | bytearray) -> Iterator[bytes | bytearray]:
    """Cut a body, but not between a backslash and what it escapes."""
    at = 0
    while at < len(body):
        end = at + _WINDOW
        if body[end - 1 : end] == b"\\" and (run := _BACKSLASHES.match(body, end)) is not None:
            end = run.end() + 1
        yield body[at:end]
        at = end
