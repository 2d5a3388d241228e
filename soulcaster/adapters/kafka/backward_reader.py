"""Reading several partitions backwards, the newest record of all of them first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS
from soulcaster.ports.topic_copy import Span

T = TypeVar("T")

FETCH_BYTES = 256 * 1024
"""What a broker may send at once, unless one record is larger; the consumer of a reader is made with it."""

CHUNK_BYTES = 512 * 1024
"""What a chunk may have, unless it is one record. Kafka does not say how large records are before they are read, so a
chunk that turns out larger is given up, and a shorter one is read."""

CHUNK_RECORDS = 1_000
"""Most records of a chunk. The first chunk of a partition is one record; while they are small, each is twice as long as
the one before."""

_SHORTER = 8
"""How many times shorter a chunk is that follows one that was given up."""


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[T]):
    """A record that was read, with what it was converted to."""

    timestamp_ms: int
    offset: int
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
    chunk: int = 1

    def __post_init__(self) -> None:
        self.unread = self.end


class BackwardReader(Generic[T]):
    """An asynchronous iterator over the records of partitions, newest first, that counts them.

    Each record is converted as it is read, so it takes no more memory than what it is converted to. One partition is
    read at a time, and little of it, so that the bytes in hand are few however large the records are.
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
        self.bytes = 0
        """Bytes of all records that were read so far, returned or not."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        for one in self._partitions:
            while not one.loaded and one.unread > one.first:
                await self._load(one)
        partitions = [one for one in self._partitions if one.loaded]
        if not partitions:
            raise StopAsyncIteration
        newest = max(partitions, key=lambda one: one.loaded[-1].timestamp_ms)
        loaded = newest.loaded.pop()
        newest.end = loaded.offset
        return loaded.value

    def position(self) -> tuple[int, ...] | None:
        """Return the offset that each partition goes on before, or None where nothing is left."""
        if all(not one.loaded and one.unread == one.first for one in self._partitions):
            return None
        return tuple(one.end for one in self._partitions)

    async def _load(self, one: _Partition[T]) -> None:
        """Read one chunk of a partition, the one before those that were read."""
        while True:
            span = Span(max(one.first, one.unread - one.chunk), one.unread)
            loaded: list[_Loaded[T]] = []
            size = 0
            async for records in span_of(self._consumer, one.topic_partition, span):
                loaded += await asyncio.to_thread(self._converted, records)
                size += (read := sum(map(size_of, records)))
                self.bytes += read
                if size > CHUNK_BYTES and one.chunk > 1:
                    break
            else:
                one.loaded, one.unread = loaded, span.first
                if size <= CHUNK_BYTES // 2:
                    one.chunk = min(2 * one.chunk, CHUNK_RECORDS)
                return
            one.chunk = max(1, one.chunk // _SHORTER)

    def _converted(self, records: Sequence[ConsumerRecord]) -> list[_Loaded[T]]:
        return [_Loaded(record.timestamp, record.offset, self._convert(record)) for record in records]


def size_of(record: ConsumerRecord) -> int:
    """Return the bytes of a record's key, value and headers."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


async def span_of(
    consumer: AIOKafkaConsumer, tp: TopicPartition, span: Span
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """Yield the records of a span, in order, as they come; the consumer reads nothing else meanwhile."""
    consumer.assign([tp])
    consumer.seek(tp, span.first)
    while await consumer.position(tp) < span.end:
        for records in (await consumer.getmany(tp, timeout_ms=FETCH_WAIT_MS)).values():
            yield [record for record in records if record.offset < span.end]
