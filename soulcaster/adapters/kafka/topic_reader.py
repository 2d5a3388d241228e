"""Partitions in Kafka, read from a time on by a consumer without a group."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.records import record_of
from soulcaster.ports.messaging import Record


class KafkaTopicReader:
    """TopicReader over a consumer for each call."""

    def __init__(self, kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> None:
        """Connect nothing yet. `timeout` is in seconds, for finding where to read, and for each response after that."""
        self._kafka = kafka
        self._timeout = timeout

    async def since(self, topic: str, partition: int, since_ms: int) -> AsyncGenerator[Sequence[Record], None]:
        """Yield a partition's records from a time on; see `ports.topic_reader.TopicReader`."""
        tp = TopicPartition(topic, partition)
        async with consumer_since(self._kafka, tp, since_ms, timeout=self._timeout) as (consumer, end):
            while await consumer.position(tp) < end:
                found: Sequence[Record] = ()
                async with asyncio.timeout(self._timeout):
                    while not found and await consumer.position(tp) < end:
                        messages = (await consumer.getmany(tp, timeout_ms=FETCH_WAIT_MS)).get(tp, [])
                        found = [record_of(message) for message in messages if message.offset < end]
                if found:
                    yield found


@asynccontextmanager
async def consumer_since(
    kafka: KafkaAccess,
    tp: TopicPartition,
    since_ms: int,
    *,
    timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109
) -> AsyncIterator[tuple[AIOKafkaConsumer, int]]:
    """Give a consumer positioned at a partition's first record from a time on, and where the partition ends now.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    async with standalone_consumer(kafka, timeout=timeout) as consumer:
        async with asyncio.timeout(timeout):
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            first = (await consumer.offsets_for_times({tp: max(0, since_ms)}))[tp]
            consumer.seek(tp, end if first is None else first.offset)
        yield consumer, end
