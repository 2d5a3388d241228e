"""How far records have been processed that are done in any order: pure.

A partition's records are delivered in the order of their offsets, and done in another one, because projects take turns.
Everything before the first record that is not done may be committed, offsets in between that are no record included.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody has come in a partition: the offset of the first record that is not done, and a time.

    `at`, in seconds of Unix time, is the time of that record; where it was not delivered yet, that of the last one
    before it.
    """

    next: int
    at: float


class _OfPartition:
    """The records of one partition that were delivered."""

    def __init__(self, first: int) -> None:
        self._first = self._passed = first
        self._left: dict[int, float] = {}
        self._offsets: list[int] = []
        """A heap of the offsets in `_left`, and of some that are done."""
        self._behind_last = Position(first, 0.0)

    def delivered(self, offset: int, at: float) -> None:
        if offset < self._first:
            self._first = self._passed = offset
        if offset < self._passed:
            return  # it is done, and may be committed: it need not come again
        self._left[offset] = at
        heapq.heappush(self._offsets, offset)
        if offset >= self._behind_last.next:
            self._behind_last = Position(offset + 1, at)

    def done(self, offset: int) -> None:
        self._left.pop(offset, None)

    def position(self) -> Position:
        while self._offsets and self._offsets[0] not in self._left:
            heapq.heappop(self._offsets)
        if not self._offsets:
            return self._behind_last
        first_left = self._offsets[0]
        return Position(first_left, self._left[first_left])

    def committable(self) -> int | None:
        self._passed = max(self._passed, self.position().next)
        return self._passed if self._passed > self._first else None


class Progress:
    """The records that were delivered to somebody, and which of them are done.

    A record may be delivered again: then it is done when it is done again, unless it could be committed before. One
    that was delivered and is dropped counts as not done, until it is delivered again and done, or its partition is
    forgotten.
    """

    def __init__(self) -> None:
        """Start with nothing delivered."""
        self._partitions: dict[Partition, _OfPartition] = {}

    def delivered(self, partition: Partition, offset: int, at: float) -> None:
        """Note a record and its time, before anything later of its partition is delivered."""
        known = self._partitions.get(partition)
        if known is None:
            known = self._partitions[partition] = _OfPartition(offset)
        known.delivered(offset, at)

    def done(self, partition: Partition, offset: int) -> None:
        """Note that a record is done; one that is not known, as after `forget`, is passed over."""
        known = self._partitions.get(partition)
        if known is not None:
            known.done(offset)

    def positions(self) -> Mapping[Partition, Position]:
        """Return where each partition of which records were delivered goes on."""
        return {partition: known.position() for partition, known in self._partitions.items()}

    def committable(self, partition: Partition) -> int | None:
        """Return the offset that may be committed, None where nothing is done from the first record on."""
        known = self._partitions.get(partition)
        return None if known is None else known.committable()

    def forget(self, partition: Partition) -> None:
        """Forget a partition: it is read from its committed offset when it comes back."""
        self._partitions.pop(partition, None)

    def clear(self) -> None:
        """Forget all partitions."""
        self._partitions.clear()
