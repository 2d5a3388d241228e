"""Pages of a list.

A list is read from an `offset` on, or `after` the cursor of the page before: items that come or go meanwhile then shift
nothing. A cursor is valid for the same question only. One call looks at a bounded part of the list: where several
conditions or words narrow it down, a page may hold fewer items than `limit`, or none, and still have a `next`.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, the length of the whole list, and the cursor of the next page, None at the end.

    Where `counted` is false, the call did not look at the whole list, and `total` is what it found so far.
    """

    items: tuple[T, ...]
    total: int
    next: str | None = None
    counted: bool = True
