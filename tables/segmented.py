"""A Faust table whose rows are segments, and the states built from them: one for each partition and project.

Rows are bytes; a row's key is `partition|project|range`, and that of a part of a large one has more after the range
(`tables/parts.py`). Faust keeps rows in memory after their partition has moved to another worker. So the partition is
part of the key, and rows of partitions that are not assigned are dropped.
"""

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from soulcaster.domain.segments import RowChange, Segments
from tables.parts import join, row_name, split

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

ProjectPartition = tuple[int, str]
"""A partition and the id of a project whose records come in it; a table has one state for each."""


class States(Protocol[T_co]):
    """What an agent needs of a table: the states of projects, and a way to write their rows.

    Whoever changes a state has its `turn` meanwhile, and so has whoever reads one in a thread.
    """

    turn: asyncio.Lock

    def state(self, partition: int, project_id: str) -> T_co:
        """Return the state of a project whose records come in this partition."""

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write rows, within `Batch.writing(partition)`."""

    def forget(self, partition: int, project_id: str) -> None:
        """Discard the state in memory, because its changes were not written; it is loaded from the rows again."""


class SegmentedTable(Generic[T]):
    """The states of a mapping of bytes to bytes: a Faust table, or a dict in tests."""

    def __init__(self, rows: MutableMapping[bytes, bytes], width: int, make: Callable[[str, Segments], T]) -> None:
        """`make` builds a state from a project's id and its segments; `width` is the bytes of a segment's record."""
        self.turn = asyncio.Lock()
        self._rows = rows
        self._width = width
        self._make = make
        self._states: dict[tuple[int, str], T] = {}
        self._written: dict[tuple[int, str], dict[str, set[str]]] = {}
        """By place and row: the names under which it is written, as a whole or in parts."""
        self.reload()

    def state(self, partition: int, project_id: str) -> T:
        """Return the state of a project, loading it from its rows the first time."""
        key = (partition, project_id)
        found = self._states.get(key)
        if found is None:
            prefix = _prefix(partition, project_id)
            written = {
                row: join({name: self._rows[prefix + name.encode()] for name in names})
                for row, names in self._written.get(key, {}).items()
            }
            stored = {row: value for row, value in written.items() if value is not None}
            found = self._states[key] = self._make(project_id, Segments(self._width, stored))
        return found

    def forget(self, partition: int, project_id: str) -> None:
        """Discard a state; the next call of `state` loads it from the rows."""
        self._states.pop((partition, project_id), None)

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write and delete rows, in order."""
        prefix = _prefix(partition, project_id)
        written = self._written.setdefault((partition, project_id), {})
        for row in rows:
            new = {} if row.value is None else split(row.key, row.value)
            for name, value in new.items():
                self._rows[prefix + name.encode()] = value
            for name in written.pop(row.key, set()) - new.keys():
                del self._rows[prefix + name.encode()]
            if new:
                written[row.key] = set(new)

    def reload(self) -> None:
        """Discard every state, because the rows have changed."""
        self._states.clear()
        self._written.clear()
        for key in self._rows:
            partition, project_id, name = _parts(key)
            rows = self._written.setdefault((partition, project_id), {})
            rows.setdefault(row_name(name), set()).add(name)


def partition_of(key: bytes) -> int:
    """Return the partition in a row's key."""
    return _parts(key)[0]


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
