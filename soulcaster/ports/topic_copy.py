"""The log as a whole: read out of one Kafka, and written into an empty one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Place = tuple[str, int]
"""A topic and one of its partitions."""


@dataclass(frozen=True, slots=True)
class CopiedRecord:
    """A record with all that Kafka keeps of it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a partition: its first, and the one after its last."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One state of the whole log: the span of each partition, and what each consumer group has committed."""

    spans: Mapping[Place, Span]
    committed: Mapping[str, Mapping[Place, int]]


class LogSource(Protocol):
    """Reads the log; every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer."""

    async def cut(self) -> Cut:
        """Return a state of the log from which everything can go on, though it is written to all the time.

        Raises:
            Conflict: it is written to without a pause.
        """

    def records(self, place: Place, span: Span) -> AsyncIterator[Sequence[CopiedRecord]]:
        """Yield a partition's records within a span, in order and in batches."""

    async def first(self, place: Place) -> int:
        """Return the offset that a partition begins at now."""


class LogTarget(Protocol):
    """Writes the log; every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer."""

    @property
    def most_record_bytes(self) -> int:
        """How many bytes the key and the value of a record may have together, unpacked."""

    async def check_empty(self) -> None:
        """Return if all topics exist, as they should be, without records and without committed offsets.

        Raises:
            Conflict: they do not, or a process of a group runs.
        """

    async def begin_at(self, place: Place, first: int) -> None:
        """Let an empty partition begin at an offset."""

    async def write(self, place: Place, records: Sequence[CopiedRecord]) -> None:
        """Append records to a partition, and return when they are acknowledged."""

    async def end(self, place: Place) -> int:
        """Return the offset that a partition's next record gets."""

    async def commit(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group that has no members."""
