"""A queue whose keys take turns, so that a project with a long backlog does not hold up the others.

It is deficit round robin (Shreedhar and Varghese 1995): a turn of a key lasts until its records had `TURN_BYTES`
together. Records of one key stay in their order, and that is all the order that agents need: a project is a key, and
offsets are committed up to the first record that is not done.

Two batches may be worked on at a time: one of whatever waits, and beside it, in the **express lane**, one of keys that
have little waiting. A key is in one of them at most.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
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


class _Waiting(Generic[T]):
    """The records of a key, in order, and their bytes."""

    def __init__(self) -> None:
        self.records: deque[T] = deque()
        self.size = 0

    def append(self, record: T) -> None:
        self.records.append(record)
        self.size += record.size

    def popleft(self) -> T:
        record = self.records.popleft()
        self.size -= record.size
        return record


class TakingTurns(Generic[T]):
    """The part of a `deque` that `asyncio.Queue` uses, and the express lane.

    `popleft` takes for the main lane; keys that the express lane has wait, and are not counted, until `express_done`.
    """

    def __init__(self) -> None:
        """Start empty, with nothing taken."""
        self._waiting: OrderedDict[bytes | None, _Waiting[T]] = OrderedDict()
        self._count = 0
        self._taken = 0
        self._in_main: set[bytes | None] = set()
        self._in_express: dict[bytes | None, _Waiting[T]] = {}
        self._small: OrderedDict[bytes | None, None] = OrderedDict()
        """Keys that the express lane may take, those that came first in front."""

    def __len__(self) -> int:
        return self._count

    def append(self, item: T) -> None:
        """Add an item behind the others of its key; a new key has its turn after all others."""
        of_key = self._in_express.get(item.key)
        if of_key is not None:
            of_key.append(item)
            return
        of_key = self._waiting.get(item.key)
        if of_key is None:
            of_key = self._waiting[item.key] = _Waiting()
        of_key.append(item)
        self._count += 1
        self._look(item.key)

    def popleft(self) -> T:
        """Take the next item for the main lane.

        Raises:
            IndexError: there is none.
        """
        if not self._waiting:
            raise IndexError("the queue is empty")
        key, of_key = next(iter(self._waiting.items()))
        item = of_key.popleft()
        self._count -= 1
        self._taken += item.size
        self._in_main.add(key)
        self._small.pop(key, None)
        if not of_key.records:
            del self._waiting[key]
            self._taken = 0
        elif self._taken >= TURN_BYTES:
            self._waiting.move_to_end(key)
            self._taken = 0
        return item

    def main_done(self) -> None:
        """Note that the main lane is done with what it took."""
        done, self._in_main = self._in_main, set()
        for key in done:
            self._look(key)

    @property
    def has_express(self) -> bool:
        """Return whether there is something for the express lane."""
        return bool(self._small)

    def take_express(self) -> Sequence[T]:
        """Take all items of the next key that has little waiting and is not in the main lane.

        Raises:
            KeyError: there is none.
        """
        key, _ = self._small.popitem(last=False)
        if next(iter(self._waiting)) == key:
            self._taken = 0
        of_key = self._waiting.pop(key)
        self._count -= len(of_key.records)
        self._in_express[key] = _Waiting()
        return of_key.records

    def express_done(self) -> None:
        """Note that the express lane is done with what it took; the keys have their turn after all others."""
        done, self._in_express = self._in_express, {}
        for key, of_key in done.items():
            if of_key.records:
                self._waiting[key] = of_key
                self._count += len(of_key.records)
                self._look(key)

    def clear(self) -> None:
        """Remove everything that waits; what was taken is still taken."""
        self._waiting.clear()
        self._small.clear()
        for key in self._in_express:
            self._in_express[key] = _Waiting()
        self._count = self._taken = 0

    def _look(self, key: bytes | None) -> None:
        """See whether a key is one for the express lane; records without a key may be of any project."""
        of_key = self._waiting.get(key)
        if of_key is None or of_key.size > TURN_BYTES or key is None or key in self._in_main:
            self._small.pop(key, None)
        else:
            self._small[key] = None
