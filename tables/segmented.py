"""A Faust table whose rows are segments, and the objects that live on them: one a partition and project.

Rows are bytes; a row's key is `partition|project|range`. Faust keeps rows in memory after their partition has moved
away, so the partition is part of the key and only rows of partitions assigned now are used; the others are dropped.
"""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from soulcaster.domain.segments import RowChange, Segments

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

ProjectPartition = tuple[int, str]
"""A partition and the id of a project whose records come in it; a table has one state for each."""


class States(Protocol[T_co]):
    """What an agent needs of a table: the state of a project, and a way to write its rows."""

    def state(self, partition: int, project_id: str) -> T_co:
        """Return the state of a project whose events come in this partition."""

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write rows; the current event must be of this partition (`Batch.writing`)."""

    def forget(self, partition: int, project_id: str) -> None:
        """Throw away the state in memory: what was done to it was not written. It is loaded from the rows again."""


class SegmentedTable(Generic[T]):
    """States over any mapping of bytes to bytes: a Faust table, or a dict in tests."""

    def __init__(self, rows: MutableMapping[bytes, bytes], width: int, make: Callable[[str, Segments], T]) -> None:
        """`make` builds a state from (project id, its segments); `width` is that of the segments' records."""
        self._rows = rows
        self._width = width
        self._make = make
        self._states: dict[tuple[int, str], T] = {}
        self._keys: dict[tuple[int, str], set[bytes]] = {}
        self.reload()

    def state(self, partition: int, project_id: str) -> T:
        """Return the state of a project, loading it from its rows the first time."""
        key = (partition, project_id)
        found = self._states.get(key)
        if found is None:
            prefix = len(_prefix(partition, project_id))
            stored = {k[prefix:].decode(): self._rows[k] for k in self._keys.get(key, ())}
            found = self._states[key] = self._make(project_id, Segments(self._width, stored))
        return found

    def forget(self, partition: int, project_id: str) -> None:
        """Drop a state; the next call of `state` loads it from the rows."""
        self._states.pop((partition, project_id), None)

    def write(self, partition: int, project_id: str, rows: Iterable[RowChange]) -> None:
        """Write and delete rows, in order."""
        prefix = _prefix(partition, project_id)
        keys = self._keys.setdefault((partition, project_id), set())
        for row in rows:
            key = prefix + row.key.encode()
            if row.value is not None:
                self._rows[key] = row.value
                keys.add(key)
            elif key in keys:
                del self._rows[key]
                keys.discard(key)

    def reload(self) -> None:
        """Forget every state: the rows have changed under them."""
        self._states.clear()
        self._keys.clear()
        for key in self._rows:
            partition, project_id, _ = _parts(key)
            self._keys.setdefault((partition, project_id), set()).add(key)


def partition_of(key: bytes) -> int:
    """Return the partition in a row's key."""
    return _parts(key)[0]


def _prefix(partition: int, project_id: str) -> bytes:
    return f"{partition}|{project_id}|".encode()


def _parts(key: bytes) -> tuple[int, str, str]:
    partition, project_id, segment = key.decode().split("|")
    return int(partition), project_id, segment


def declare(app: Any, name: str, partitions: int) -> Any:
    """Declare the Faust table of that name on an app: bytes to bytes, in memory, its changelog compacted."""
    table = app.Table(name, partitions=partitions, key_type=bytes, value_type=bytes)
    # Set after construction: the constructor takes no serializers, and the default would store str(bytes).
    table.key_serializer = table.value_serializer = "raw"
    return table
