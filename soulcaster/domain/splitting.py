"""Cutting a sequence into runs that fit into a message or a table row."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def split_by_bytes(parts: Sequence[tuple[T, int]], limit: int) -> Iterator[list[T]]:
    """Yield runs of parts, in order, each of at most `limit` bytes; a larger part gets a run of its own."""
    run: list[T] = []
    total = 0
    for part, size in parts:
        if run and total + size > limit:
            yield run
            run, total = [], 0
        run.append(part)
        total += size
    if run:
        yield run
