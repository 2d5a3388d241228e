"""What a cluster remembers of groups that are archived.

Nothing is compared with these any more, and their slots are free for others; but their items stay in the cluster, and
it stands though it has no others.
"""

import msgspec


class Archived(msgspec.Struct, array_like=True, frozen=True):
    """How many items, from when to when (epoch seconds), and of which sources."""

    items: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any item."""
        return self.items > 0

    def less(self, items: int) -> "Archived":
        """Return what is left without so many of the items; their times and sources, which nobody kept, still count."""
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
