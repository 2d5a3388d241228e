"""A Faust table whose rows are segments, and the states built from them: one for each partition and project.

Rows are bytes; a row's key is `partition|project|range`. Faust keeps rows in memory after their partition has moved to
another worker. So the partition is part of the key, and rows of partitions that are not assigned are dropped.
"""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from soulcaster.domain.segments import RowChange, Segments

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

ProjectPartition = tuple[int, str]
"""A partition and the id of a project whose records come in it; a table has one state for each."""


class States(Protocol[T_co]):
    """What an agent needs of a table: the states of projects, and a way to write their rows."""

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
        """Discard a state; the next call of `state` loads it from the rows."""
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
        """Discard every state, because the rows have changed."""
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


def declare(app: Any, name: str, partitions: int, *, lost: Callable[[BaseException], object]) -> Any:
    """Declare a Faust table of bytes to bytes, in memory, with a compacted changelog.

    `app` makes tables of the class `AcknowledgedTable`; `lost` is called for a row that Kafka did not acknowledge.
    """
    table = app.Table(name, partitions=partitions, key_type=bytes, value_type=bytes)
    # The constructor takes no serializers, and the default one would store str(bytes).
    table.key_serializer = table.value_serializer = "raw"
    table.lost = lost
    return table
