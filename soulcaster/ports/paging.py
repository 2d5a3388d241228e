"""A part of a list."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, how long the whole of it is, and the cursor of what follows, None where it ends.

    Where not all was looked at, `counted` is false and `total` is what was found so far.
    """

    items: tuple[T, ...]
    total: int
    next: str | None = None
    counted: bool = True
