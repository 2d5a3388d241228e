"""What a cluster keeps of archived micro-clusters.

Nothing is compared with an archived micro-cluster, and its slot is free for another; its items stay in their cluster,
which exists even if all of its items are archived.
"""

from collections.abc import Callable

import msgspec


class Archived(msgspec.Struct, array_like=True, frozen=True):
    """The number of archived items, the time of the first and of the last (epoch seconds), and their sources."""

    items: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any item."""
        return self.items > 0

    def less(self, items: int) -> "Archived":
        """Return what is left without some items; their times and sources stay, because nothing else stores them."""
        return msgspec.structs.replace(self, items=self.items - items) if items < self.items else NOTHING

    def __add__(self, other: "Archived") -> "Archived":
        """Return what both have together."""
        return Archived(
            self.items + other.items,
            min(self.first, other.first),
            max(self.last, other.last),
            tuple(sorted({*self.sources, *other.sources})),
        )


NOTHING = Archived()


class Archive:
    """What each cluster has archived, by the number it had when it did; aliases keep their own."""

    def __init__(self) -> None:
        """Start empty."""
        self.items = 0
        self._by_number: dict[int, Archived] = {}

    def get(self, number: int) -> Archived | None:
        """Return what was archived under a cluster's number, or None."""
        return self._by_number.get(number)

    def add(self, number: int, archived: Archived) -> None:
        """Add to what a cluster has archived."""
        self._by_number[number] = self._by_number.get(number, NOTHING) + archived
        self.items += archived.items

    def remove(self, number: int, items: int) -> None:
        """Take archived items, by their number, out of a cluster."""
        self._by_number[number] = self._by_number[number].less(items)
        self.items -= items

    def totals(self, resolve: Callable[[int], int]) -> dict[int, Archived]:
        """Return what each cluster has archived, its aliases included; `resolve` follows them."""
        totals: dict[int, Archived] = {}
        for number, archived in self._by_number.items():
            into = resolve(number)
            totals[into] = totals.get(into, NOTHING) + archived
        return totals
