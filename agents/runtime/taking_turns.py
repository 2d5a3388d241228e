"""A queue whose keys take turns, so that a project with a long backlog does not hold up the others.

It is deficit round robin (Shreedhar and Varghese 1995): a turn of a key lasts until its records had `TURN_BYTES`
together. Records of one key stay in their order, and that is all the order that agents need: a project is a key, and
offsets are committed up to the first record that is not done.

Beside a batch in the main lane, keys that have little waiting may be worked on in **express lanes**, one in each. A key
is in one lane at most. A batch of the main lane that has taken of a key with much waiting leaves those with little to
the express lanes: in one batch with it they would wait for it.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

TURN_BYTES = 64 * 1024
"""A hundred items; an agent that took records of a thousand projects by turns of one would write a thousand batches.
A key with more than that has much waiting."""


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


_Keys = OrderedDict[bytes | None, _Waiting[T]]
"""What waits by key, in the order of their turns."""


class TakingTurns(Generic[T]):
    """The part of a `deque` that `asyncio.Queue` uses, and the express lanes.

    `popleft` takes for the main lane; keys that an express lane has wait, and are not counted, until `express_done`.
    """

    def __init__(self) -> None:
        """Start empty, with nothing taken."""
        self._little: _Keys[T] = OrderedDict()
        """Keys that an express lane may take; there are none without one."""
        self._much: _Keys[T] = OrderedDict()
        self._count = 0
        self._taken = 0
        self._with_express = False
        self._in_main: set[bytes | None] = set()
        self._main_has_much = False
        self._in_express: dict[bytes | None, _Waiting[T]] = {}

    def __len__(self) -> int:
        return self._count

    def append(self, item: T) -> None:
        """Add an item behind the others of its key; a new key has its turn after all others."""
        waits = self._in_express.get(item.key)
        if waits is not None:
            waits.append(item)
            return
        self._count += 1
        waits = self._much.get(item.key)
        if waits is not None:
            waits.append(item)
            return
        waits = self._little.get(item.key) or _Waiting()
        waits.append(item)
        if waits.size > TURN_BYTES or item.key not in self._little:
            self._little.pop(item.key, None)
            self._wait(item.key, waits)

    def popleft(self) -> T:
        """Take the next item for the main lane.

        Raises:
            IndexError: there is none.
        """
        keys = self._much or self._little
        if not keys:
            raise IndexError("the queue is empty")
        key, waits = keys.popitem(last=False)
        self._main_has_much |= waits.size > TURN_BYTES
        item = waits.popleft()
        self._count -= 1
        self._taken += item.size
        self._in_main.add(key)
        if not waits.records:
            self._taken = 0
        else:
            self._much[key] = waits
            if self._taken < TURN_BYTES:
                self._much.move_to_end(key, last=False)
            else:
                self._taken = 0
        return item

    @property
    def has_main(self) -> bool:
        """Return whether there is something for the batch that the main lane takes."""
        return bool(self._much) if self._with_express and self._main_has_much else self._count > 0

    def main_done(self) -> None:
        """Note that the main lane is done with what it took."""
        done, self._in_main = self._in_main, set()
        self._main_has_much = False
        for key in done & self._much.keys():
            self._look(key)

    def open_express(self) -> None:
        """Let there be express lanes."""
        self._with_express = True
        for key in list(self._much):
            self._look(key)

    @property
    def has_express(self) -> bool:
        """Return whether there is something for an express lane."""
        return bool(self._little)

    def take_express(self) -> Sequence[T]:
        """Take all items of the next key that has little waiting and is not in the main lane.

        Raises:
            KeyError: there is none.
        """
        key, waits = self._little.popitem(last=False)
        self._count -= len(waits.records)
        self._in_express[key] = _Waiting()
        return waits.records

    def express_done(self, key: bytes | None) -> None:
        """Note that an express lane is done with what it took of a key, which has its turn after all others."""
        waits = self._in_express.pop(key)
        if waits.records:
            self._count += len(waits.records)
            self._wait(key, waits)

    def clear(self) -> None:
        """Remove everything that waits; what was taken is still taken."""
        self._little.clear()
        self._much.clear()
        self._in_express = {key: _Waiting() for key in self._in_express}
        self._count = self._taken = 0

    def _wait(self, key: bytes | None, waits: _Waiting[T]) -> None:
        """Give a key its turn after all others."""
        keys = self._little if self._is_little(key, waits) else self._much
        keys[key] = waits

    def _look(self, key: bytes | None) -> None:
        """Leave a key to the express lanes, if it is one for them by now."""
        waits = self._much[key]
        if self._is_little(key, waits):
            if next(iter(self._much)) == key:
                self._taken = 0
            del self._much[key]
            self._little[key] = waits

    def _is_little(self, key: bytes | None, waits: _Waiting[T]) -> bool:
        """Return whether a key is one for an express lane; records without a key may be of any project."""
        if not self._with_express or key is None or key in self._in_main:
            return False
        return waits.size <= TURN_BYTES
