"""Reading several partitions backwards, the newest record of all of them first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS
from soulcaster.ports.topic_copy import Span

T = TypeVar("T")

FIRST_CHUNK_RECORDS = 20
"""Records that are read of a partition first; each following chunk is twice as long."""


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[T]):
    """A record that was read, with what it was converted to."""

    timestamp_ms: int
    offset: int
    size: int
    value: T


@dataclass(slots=True)
class _Partition(Generic[T]):
    """A partition read backwards.

    Records from `end` on are returned already; those of `loaded`, in order, are next; those before `unread` are not
    read yet.
    """

    topic_partition: TopicPartition
    first: int
    end: int
    unread: int = field(init=False)
    loaded: list[_Loaded[T]] = field(default_factory=list)
    chunk: int = FIRST_CHUNK_RECORDS

    def __post_init__(self) -> None:
        self.unread = self.end


class BackwardReader(Generic[T]):
    """An asynchronous iterator over the records of partitions, newest first, that counts them.

    Each record is converted as it is read, so it takes no more memory than what it is converted to.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        spans: Mapping[TopicPartition, Span],
        before: Sequence[int],
        convert: Callable[[ConsumerRecord], T],
    ) -> None:
        """Read nothing yet. `before` are offsets, in the order of partitions, from which an earlier reader goes on.

        A partition that `before` does not reach begins at its end.
        """
        self._consumer = consumer
        self._convert = convert
        self._partitions: list[_Partition[T]] = [
            _Partition(tp, span.first, span.end) for tp, span in sorted(spans.items())
        ]
        for partition, offset in zip(self._partitions, before, strict=False):
            partition.end = partition.unread = max(partition.first, min(partition.end, offset))
        self.records = 0
        """Records returned so far."""
        self.bytes = 0
        """Bytes of their values."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._load([one for one in self._partitions if not one.loaded and one.unread > one.first])
        partitions = [one for one in self._partitions if one.loaded]
        if not partitions:
            raise StopAsyncIteration
        newest = max(partitions, key=lambda one: one.loaded[-1].timestamp_ms)
        loaded = newest.loaded.pop()
        newest.end = loaded.offset
        self.records += 1
        self.bytes += loaded.size
        return loaded.value

    def position(self) -> tuple[int, ...] | None:
        """Return the offset that each partition goes on before, or None where nothing is left."""
        if all(not one.loaded and one.unread == one.first for one in self._partitions):
            return None
        return tuple(one.end for one in self._partitions)

    async def _load(self, partitions: Sequence[_Partition[T]]) -> None:
        """Read one chunk of each partition, the one before those that were read."""
        if not partitions:
            return
        spans = {one.topic_partition: Span(max(one.first, one.unread - one.chunk), one.unread) for one in partitions}
        records = await read_spans(self._consumer, spans)
        for one in partitions:
            one.loaded = await asyncio.to_thread(self._converted, records[one.topic_partition])
            one.unread = spans[one.topic_partition].first
            one.chunk *= 2

    def _converted(self, records: Sequence[ConsumerRecord]) -> list[_Loaded[T]]:
        return [
            _Loaded(record.timestamp, record.offset, len(record.value or b""), self._convert(record))
            for record in records
        ]


async def read_spans(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span]
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Return the records of each span, in order."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in spans}
    consumer.assign(list(spans))
    for tp, span in spans.items():
        consumer.seek(tp, span.first)
    while unread := [tp for tp, span in spans.items() if await consumer.position(tp) < span.end]:
        for tp, records in (await consumer.getmany(*unread, timeout_ms=FETCH_WAIT_MS)).items():
            found[tp] += [record for record in records if record.offset < spans[tp].end]
    return found
