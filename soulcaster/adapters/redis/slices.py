"""Long lists of stored values, parsed a few at a time: whoever else is served has a turn in between."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
Stored = TypeVar("Stored")

PARSED_AT_ONCE = 200
"""Values that are parsed together; each is short."""


async def parsed(stored: Sequence[Stored], parse: Callable[[Stored], T]) -> list[T]:
    """Return what each value is parsed to."""
    found: list[T] = []
    for first in range(0, len(stored), PARSED_AT_ONCE):
        if first:
            await asyncio.sleep(0)
        found += map(parse, stored[first : first + PARSED_AT_ONCE])
    return found
