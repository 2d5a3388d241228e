"""Part of a topic, read from a real Kafka."""

import time

import pytest
from aiokafka import AIOKafkaProducer

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.topic_reader import KafkaTopicReader
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import JOB_LOGS

pytestmark = pytest.mark.integration

AT_MS = int(time.time() * 1000) + 1_800_000
"""Later than the records of other tests: the first record from a time on may be anybody's."""
TOPIC = JOB_LOGS.name


async def read(settings: Settings, partition: int, since_ms: int) -> list[Record]:
    reader = KafkaTopicReader(kafka_access(settings))
    return [record async for batch in reader.since(TOPIC, partition, since_ms) for record in batch]


async def test_a_partition_is_read_from_a_time_to_its_present_end(fresh_settings: Settings) -> None:
    key = fresh_settings.app_id.encode()
    async with AIOKafkaProducer(bootstrap_servers=fresh_settings.kafka) as producer:
        sent = [
            await producer.send_and_wait(TOPIC, f"{n}".encode(), key, timestamp_ms=AT_MS + 1000 * n) for n in range(5)
        ]
    partition = sent[0].partition
    found = await read(fresh_settings, partition, AT_MS + 2000)
    ours = [record for record in found if record.key == key]
    assert [(record.value, record.offset) for record in ours] == [
        (f"{n}".encode(), one.offset) for n, one in enumerate(sent) if n >= 2
    ]
    assert {(record.topic, record.partition) for record in found} == {(TOPIC, partition)}
    whole = await read(fresh_settings, partition, -1)
    assert whole[-len(found) :] == found
    assert [record.value for record in whole if record.key == key] == [b"0", b"1", b"2", b"3", b"4"]
    assert await read(fresh_settings, partition, 10 * AT_MS) == []


async def test_a_kafka_that_is_away_is_unavailable() -> None:
    reader = KafkaTopicReader(KafkaAccess("127.0.0.1:1"), timeout=2.0)
    with pytest.raises(KafkaUnavailable):
        await anext(reader.since(TOPIC, 0, AT_MS))
