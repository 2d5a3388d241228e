"""A Faust table whose rows are segments, and the states built from them: one for each partition and project.

Rows are bytes; a row's key is `partition|project|range`, and that of a part of a large one has more after the range
(`tables/parts.py`). Faust keeps rows in memory after their partition has moved to another worker. So the partition is
part of the key, and rows of partitions that are not assigned are dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from soulcaster.domain.segments import RowChange, Segments
from soulcaster.services.threads import THREAD_BYTES
from tables.freeing import free
from tables.parts import join, row_name, split

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
R = TypeVar("R")

_SLICE = 1_000
"""So many keys are looked at before other tasks have their turn."""

ProjectPartition = tuple[int, str]
"""A partition and the id of a project whose records come in it; a table has one state for each."""


class States(Protocol[T_co]):
    """What an agent needs of a table: the states of projects, and a way to write their rows.

    Whoever changes a state holds its `turn` meanwhile, and so does whoever reads one in a thread.
    """

    def turn(self, partition: int, project_id: str) -> asyncio.Lock:
        """Return the turn of a project: whoever works with its state in another thread holds it meanwhile."""

    async def state(self, partition: int, project_id: str) -> T_co:
        """Return the state of a project whose records come in this partition; it is loaded once, in a thread."""

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write rows, within `Batch.writing(partition)`."""

    def forget(self, partition: int, project_id: str) -> None:
        """Discard the state in memory, because its changes were not written; it is loaded from the rows again.

        The caller holds it no more: a large one is freed a little at a time.
        """


class SegmentedTable(Generic[T]):
    """The states of a mapping of bytes to bytes: a Faust table, or a dict in tests."""

    def __init__(self, rows: MutableMapping[bytes, bytes], width: int, make: Callable[[str, Segments], T]) -> None:
        """`make` builds a state from a project's id and its segments, in any thread.

        `width` is the bytes of a segment's record.
        """
        self._turns: WeakValueDictionary[ProjectPartition, asyncio.Lock] = WeakValueDictionary()
        self._rows = rows
        self._width = width
        self._make = make
        self._states: dict[ProjectPartition, T] = {}
        self._loading: dict[ProjectPartition, asyncio.Future[T]] = {}
        self._written = _Written()
        for key in rows:
            self._written.note(key)

    async def state(self, partition: int, project_id: str) -> T:
        """Return the state of a project, loading it from its rows the first time.

        A state of many rows takes seconds to load. A thread does it, once for all who ask meanwhile, and other projects
        go on. If the rows change before it is done, it is loaded again.
        """
        place = (partition, project_id)
        while place not in self._states:
            await self._load(place)
        return self._states[place]

    def turn(self, partition: int, project_id: str) -> asyncio.Lock:
        """Return the turn of a project: whoever works with its state in another thread holds it meanwhile."""
        turn = self._turns.get((partition, project_id))
        if turn is None:
            turn = self._turns[partition, project_id] = asyncio.Lock()
        return turn

    def loaded(self, partition: int, project_id: str) -> T | None:
        """Return the state of a project if it is in memory."""
        return self._states.get((partition, project_id))

    async def read(self, partition: int, project_id: str, reader: Callable[[Mapping[str, bytes]], R]) -> R:
        """Return what `reader` finds in the rows of a project, without loading its state; `reader` runs in any thread.

        It gets every whole row by its key.
        """
        written = self._written_of((partition, project_id))
        work = partial(_read, reader, written)
        return work() if _is_small(written) else await asyncio.to_thread(work)

    def forget(self, partition: int, project_id: str) -> None:
        """Discard a state; the next call of `state` loads it from the rows. The caller holds it no more.

        A thread frees it.
        """
        place = (partition, project_id)
        self._loading.pop(place, None)
        if place in self._states:
            _free([self._states.pop(place)])

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write and delete rows, in order."""
        place = (partition, project_id)
        self._loading.pop(place, None)
        prefix = _prefix(*place)
        written = self._written.of(place)
        for row in rows:
            new = {} if row.value is None else split(row.key, row.value)
            for name, value in new.items():
                self._rows[prefix + name.encode()] = value
            for name in written.pop(row.key, set()) - new.keys():
                del self._rows[prefix + name.encode()]
            if new:
                written[row.key] = set(new)

    async def reload(self) -> None:
        """Discard every state, because the rows have changed. Nobody may write meanwhile."""
        written = _Written()
        async for key in in_slices(self._rows):
            written.note(key)
        self._written = written
        self._loading.clear()
        discarded = [*self._states.values()]
        self._states = {}
        _free(discarded)

    async def _load(self, place: ProjectPartition) -> None:
        """Load a state, or wait until somebody else has."""
        loading = self._loading.get(place)
        if loading is None:
            written = self._written_of(place)
            work = partial(_read, partial(self._made, place[1]), written)
            if _is_small(written):
                self._states[place] = work()
                return
            loading = self._loading[place] = asyncio.get_running_loop().run_in_executor(None, work)
        await asyncio.wait([loading])  # who is cancelled meanwhile does not cancel it for others
        if self._loading.get(place) is loading:
            del self._loading[place]
            self._states[place] = loading.result()

    def _made(self, project_id: str, rows: Mapping[str, bytes]) -> T:
        return self._make(project_id, Segments(self._width, rows))

    def _written_of(self, place: ProjectPartition) -> "_WrittenRows":
        """Return by row what is written of a project, each as a whole or in parts."""
        prefix = _prefix(*place)
        return {
            row: {name: self._rows[prefix + name.encode()] for name in names}
            for row, names in self._written.of(place).items()
        }


_WrittenRows = Mapping[str, Mapping[str, bytes]]


class _Written:
    """By place and row: the names under which it is written, as a whole or in parts."""

    def __init__(self) -> None:
        self._names: dict[ProjectPartition, dict[str, set[str]]] = {}

    def note(self, key: bytes) -> None:
        """Note what is written under the key of the table."""
        partition, project_id, name = _parts(key)
        self.of((partition, project_id)).setdefault(row_name(name), set()).add(name)

    def of(self, place: ProjectPartition) -> dict[str, set[str]]:
        """Return those of a project, to be changed."""
        return self._names.setdefault(place, {})


def _is_small(written: _WrittenRows) -> bool:
    """Return whether reading these rows takes no time to speak of."""
    return sum(len(value) for values in written.values() for value in values.values()) <= THREAD_BYTES


def _read(reader: Callable[[Mapping[str, bytes]], R], written: _WrittenRows) -> R:
    joined = {row: join(values) for row, values in written.items()}
    return reader({row: value for row, value in joined.items() if value is not None})


def _free(states: list[T]) -> None:
    """Empty the list in a thread; if somebody else holds a state, who drops it last frees it."""
    if states:
        asyncio.get_running_loop().run_in_executor(None, free, states)


def partition_of(key: bytes) -> int:
    """Return the partition in a row's key."""
    return _parts(key)[0]


async def in_slices(keys: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the keys that there are now; other tasks have their turn meanwhile."""
    for n, key in enumerate([*keys]):
        if n % _SLICE == 0:
            await asyncio.sleep(0)
        yield key


def _prefix(partition: int, project_id: str) -> bytes:
    return f"{partition}|{project_id}|".encode()


def _parts(key: bytes) -> tuple[int, str, str]:
    partition, project_id, segment = key.decode().split("|")
    return int(partition), project_id, segment


def declare(app: Any, name: str, partitions: int, *, lost: Callable[[BaseException], object]) -> Any:
    """Declare a Faust table of bytes to bytes, in memory, with a compacted changelog.

    `app` makes tables of the class `AcknowledgedTable`; `lost` is called for a row that Kafka did not acknowledge.
    """
    table = app.Table(name, partitions=partitions, key_type=bytes, value_type=bytes)
    # The constructor takes no serializers, and the default one would store str(bytes).
    table.key_serializer = table.value_serializer = "raw"
    table.lost = lost
    return table
