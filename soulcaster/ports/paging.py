"""Pages of a list.

A list is read from an `offset` on, or `after` the cursor of the page before: items that come or go meanwhile then shift
nothing. A cursor is valid for the same question only. One call looks at a bounded part of the list: where several
conditions or words narrow it down, a page may hold fewer items than `limit`, or none, and still have a `next`. Long
texts make a page shorter, too: it holds about `PAGE_BYTES` of them, or one item.
"""

from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE_BYTES = 1024 * 1024
"""Bytes of stored texts that one page holds, about."""


def place_of(cursor: str) -> tuple[float, str]:
    """Return what a list is sorted by at a cursor, highest first: the score and the id before it."""
    entry_id, score, *_ = cursor.split("~")
    return float(score), entry_id


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, the length of the whole list, and the cursor of the next page, None at the end.

    Where `counted` is false, the call did not look at the whole list, and `total` is what it found so far. `cursors`
    has the cursor behind each item.
    """

    items: tuple[T, ...]
    total: int
    next: str | None = None
    counted: bool = True
    cursors: tuple[str, ...] = field(default=(), compare=False)

    def first(self, count: int) -> "Page[T]":
        """Return the page that ends after so many of its items."""
        if count >= len(self.items):
            return self
        return replace(self, items=self.items[:count], cursors=self.cursors[:count], next=self.cursors[count - 1])
