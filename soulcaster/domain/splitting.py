"""Cutting a sequence into runs that fit: into a message, into a table's row."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def split_by_bytes(parts: Sequence[tuple[T, int]], limit: int) -> Iterator[list[T]]:
    """Yield runs of parts, in order, each of at most `limit` bytes; a part larger than that travels alone."""
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
