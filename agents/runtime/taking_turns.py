"""A queue whose keys take turns, so that a project with a long backlog does not hold up the others.

It is deficit round robin (Shreedhar and Varghese 1995): a turn of a key lasts until its records had `TURN_BYTES`
together. Records of one key stay in their order, and that is all the order that agents need: a project is a key, and
offsets are committed up to the first record that is not done.
"""

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar

TURN_BYTES = 64 * 1024
"""A hundred items; an agent that took records of a thousand projects by turns of one would write a thousand batches."""


class Sized(Protocol):
    """What stands in the queue: a record with its key, and its size in bytes."""

    @property
    def key(self) -> bytes | None:
        """Return the key of the record."""

    @property
    def size(self) -> int:
        """Return its bytes."""


T = TypeVar("T", bound=Sized)


class TakingTurns(Generic[T]):
    """The part of a `deque` that `asyncio.Queue` uses."""

    def __init__(self) -> None:
        """Start empty."""
        self._of_key: OrderedDict[bytes | None, deque[T]] = OrderedDict()
        self._count = 0
        self._taken = 0

    def __len__(self) -> int:
        return self._count

    def append(self, item: T) -> None:
        """Add an item behind the others of its key; a new key has its turn after all others."""
        of_key = self._of_key.get(item.key)
        if of_key is None:
            of_key = self._of_key[item.key] = deque()
        of_key.append(item)
        self._count += 1

    def popleft(self) -> T:
        """Take the next item.

        Raises:
            IndexError: there is none.
        """
        if not self._of_key:
            raise IndexError("the queue is empty")
        key, of_key = next(iter(self._of_key.items()))
        item = of_key.popleft()
        self._count -= 1
        self._taken += item.size
        if not of_key:
            del self._of_key[key]
            self._taken = 0
        elif self._taken >= TURN_BYTES:
            self._of_key.move_to_end(key)
            self._taken = 0
        return item

    def clear(self) -> None:
        """Remove everything."""
        self._of_key.clear()
        self._count = self._taken = 0
