"""The times of records in Kafka, asked by their offsets."""

import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidTimestampError

from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.record_times import record_times
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import FEEDBACK_RAW, JOB_LOGS

DAY_MS = 24 * 3600 * 1000

pytestmark = pytest.mark.integration


async def test_each_partition_is_asked_for_the_record_at_its_offset(fresh_settings: Settings) -> None:
    kafka = kafka_access(fresh_settings)
    topic = JOB_LOGS.name
    async with KafkaPublisher(kafka) as publisher:
        keys = [str(n).encode() for n in range(50)]
        async with offsets_of(kafka) as offsets:
            before = await offsets.spans([topic])
        at = []
        for _ in range(2):
            at.append(time.time())
            await publisher.publish([Outgoing(topic, key, b"x" * 1_000) for key in keys])
        counts = dict.fromkeys(before, 0)
        for number in await publisher.partitions(topic, keys):
            counts[TopicPartition(topic, number)] += 1
    partitions = [tp for tp, count in counts.items() if count]
    assert len(partitions) > 1
    first = await record_times(kafka, {tp: before[tp].end for tp in partitions})
    second = await record_times(kafka, {tp: before[tp].end + counts[tp] for tp in partitions})
    assert set(first) == set(second) == set(partitions)
    assert all(at[0] - 0.01 <= first[tp] <= second[tp] for tp in partitions)
    assert all(at[1] - 0.01 <= second[tp] <= time.time() for tp in partitions)


async def test_kafka_refuses_feedback_whose_record_is_of_the_future(fresh_settings: Settings) -> None:
    producer = AIOKafkaProducer(**kafka_access(fresh_settings).options())
    await producer.start()
    try:
        now = int(time.time() * 1000)
        with pytest.raises(InvalidTimestampError):
            await producer.send_and_wait(FEEDBACK_RAW.name, b"{}", timestamp_ms=now + DAY_MS)
        await producer.send_and_wait(FEEDBACK_RAW.name, b"{}", timestamp_ms=now)
    finally:
        await producer.stop()
