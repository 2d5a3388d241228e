"""Partitions of a real Kafka read backwards: every record once, and little of them in hand."""

from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from soulcaster.adapters.kafka.backward_reader import CHUNK_BYTES, CHUNK_RECORDS, FETCH_BYTES, BackwardReader
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.ports.topic_copy import Span
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings

pytestmark = pytest.mark.integration

PARTITIONS = 4

LARGE = 3 * FETCH_BYTES
"""Bytes of a record that no fetch has room for."""


async def filled(settings: Settings, sizes: Sequence[int]) -> dict[TopicPartition, Span]:
    """Return the spans of a new topic, with one record a size over all partitions in turn, the oldest first."""
    topic = f"backward-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"retention.ms": "-1"})])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=20, max_batch_size=16_384) as producer:
        sent = [
            await producer.send(topic, bytes(size), partition=n % PARTITIONS, timestamp_ms=1_700_000_000_000 + n)
            for n, size in enumerate(sizes)
        ]
        for one in sent:
            await one
    counts = [len(range(n, len(sizes), PARTITIONS)) for n in range(PARTITIONS)]
    return {TopicPartition(topic, n): Span(0, count) for n, count in enumerate(counts)}


def number(record: ConsumerRecord) -> int:
    return int(record.timestamp) - 1_700_000_000_000


async def test_one_record_costs_no_more_than_one_of_each_partition(fresh_settings: Settings) -> None:
    spans = await filled(fresh_settings, [LARGE] * 24)
    async with standalone_consumer(kafka_access(fresh_settings), max_wait_ms=5, fetch_bytes=FETCH_BYTES) as consumer:
        reader = BackwardReader(consumer, spans, (), number)
        assert await anext(reader) == 23
        assert reader.bytes == PARTITIONS * LARGE
        assert [n async for n in reader] == list(range(22, -1, -1))
        assert (reader.bytes, reader.position()) == (24 * LARGE, None)


async def test_large_records_behind_many_small_ones_are_read_few_at_a_time(fresh_settings: Settings) -> None:
    """What is in hand of a partition is no more than a chunk, and giving chunks up costs a few of them."""
    sizes = [LARGE] * 40 + [10] * 800 + [LARGE, 10] * 4
    spans = await filled(fresh_settings, sizes)
    kept: dict[int, int] = {}

    def keep(record: ConsumerRecord) -> int:
        kept[number(record)] = len(record.value)
        return number(record)

    async with standalone_consumer(kafka_access(fresh_settings), max_wait_ms=5, fetch_bytes=FETCH_BYTES) as consumer:
        reader = BackwardReader(consumer, spans, (), keep)
        found, most = [], 0
        async for n in reader:
            found.append(n)
            in_hand = [size for other, size in kept.items() if other < n]
            most = max(most, sum(in_hand))
            kept.clear()
    assert found == list(range(len(sizes) - 1, -1, -1))
    assert most <= PARTITIONS * (LARGE + CHUNK_BYTES)
    assert reader.bytes <= 2 * sum(sizes)


async def test_many_small_records_are_read_in_long_chunks(fresh_settings: Settings) -> None:
    sizes = [10] * (PARTITIONS * 3 * CHUNK_RECORDS)
    spans = await filled(fresh_settings, sizes)
    async with standalone_consumer(kafka_access(fresh_settings), max_wait_ms=5, fetch_bytes=FETCH_BYTES) as consumer:
        reader = BackwardReader(consumer, spans, (), number)
        assert [n async for n in reader] == list(range(len(sizes) - 1, -1, -1))
        assert reader.bytes == sum(sizes)
