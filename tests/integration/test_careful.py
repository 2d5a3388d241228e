"""Damaged batches on a real broker: what comes before and behind them is read, and they are set aside."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from soulcaster.adapters.kafka.careful import CarefulConsumer
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.damage import batch_reader
from soulcaster.adapters.kafka.replay import open_replay
from soulcaster.adapters.kafka.topic_copy import open_log_source
from soulcaster.dev.stack import Stack
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.ports.topic_copy import Span
from soulcaster.processes.kafka_access import kafka_access
from tests.support import damage

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]

SPOILT = "this batch spoils"
PARTITIONS = len(damage.GIVEN)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka whose disk may be damaged."""
    stack = Stack(tmp_path_factory.mktemp("careful"), partitions=2)
    asyncio.run(stack.start())
    yield stack
    asyncio.run(stack.stop())


@pytest_asyncio.fixture
async def topic(broker: Stack) -> AsyncIterator[str]:
    name = f"careful-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.settings.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])
    finally:
        await admin.close()
    yield name


async def write(stack: Stack, topic: str, batches: Sequence[Sequence[str]], partition: int = 0) -> None:
    """Write batches, each as one on the disk."""
    async with AIOKafkaProducer(bootstrap_servers=stack.settings.kafka, acks="all") as producer:
        for texts in batches:
            batch = producer.create_batch()
            for text in texts:
                batch.append(key=None, value=text.encode(), timestamp=None)
            await (await producer.send_batch(batch, topic, partition=partition))


async def read(
    stack: Stack, topic: str, until: str, set_aside: Callable[[DamagedRecords], None], times: int = 1
) -> list[str]:
    """Return what is read of a topic, until some text has come so many times."""

    async def note(damaged: DamagedRecords) -> None:
        set_aside(damaged)

    found: list[str] = []
    async with standalone_consumer(kafka_access(stack.settings), set_aside=note) as consumer, asyncio.timeout(60):
        consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        while found.count(until) < times:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value.decode() for record in records]
    return found


def kafka_folder(stack: Stack) -> Path:
    return stack.data_dir / "kafka"


async def test_damaged_batches_are_set_aside_and_the_next_ones_are_read(broker: Stack, topic: str) -> None:
    for partition, how in enumerate(damage.GIVEN):
        await write(broker, topic, [["one", "two"], [SPOILT, "four", "five"], ["six"], ["seven"]], partition)
        damage.damage(kafka_folder(broker), topic, SPOILT, how, partition)
    aside: list[DamagedRecords] = []
    found = Counter(await read(broker, topic, "seven", aside.append, times=len(damage.GIVEN)))
    assert found == dict.fromkeys(["one", "two", "six", "seven"], len(damage.GIVEN))
    places = sorted((one.topic, one.partition, one.first, one.next) for one in aside)
    assert places == [(topic, partition, 2, 5) for partition in range(len(damage.GIVEN))]
    assert all(one.reason and one.data for one in aside)


async def test_a_header_whose_name_is_no_text_costs_no_record(broker: Stack, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.settings.kafka, acks="all") as producer:
        batch = producer.create_batch()
        for text, headers in (("one", []), (SPOILT, [(damage.ODD_NAME, b"1")]), ("three", [("plain", None)])):
            batch.append(key=b"k", value=text.encode(), timestamp=7, headers=headers)
        await (await producer.send_batch(batch, topic, partition=0))
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.header_name_is_no_text)
    await write(broker, topic, [["four"]])
    aside: list[DamagedRecords] = []
    assert await read(broker, topic, "four", aside.append) == ["one", SPOILT, "three", "four"]
    assert not aside


async def test_no_bytes_up_to_the_end_may_pass(broker: Stack, topic: str) -> None:
    await write(broker, topic, [["one"], [SPOILT]])
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.size_is_too_large)
    async with batch_reader(kafka_access(broker.settings)) as batches:
        found = await batches.damage(TopicPartition(topic, 0), 1, 2)
    assert not found.certain
    assert [(one.first, one.next, one.data) for one in found.found] == [(1, 2, b"")]


async def test_what_the_broker_does_not_give_is_set_aside_up_to_the_next_readable_record(
    broker: Stack, topic: str
) -> None:
    await write(broker, topic, [["one"], [SPOILT]])
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.size_is_too_large)
    await write(broker, topic, [["x" * 5000], ["y" * 5000], ["seven"]])
    aside: list[DamagedRecords] = []
    found = await read(broker, topic, "seven", aside.append)
    assert found[0] == "one"
    assert aside[0].first == 1
    assert not aside[0].data
    assert aside[-1].next + len(found) - 1 == 5


async def test_what_the_broker_calls_corrupt_is_set_aside(broker: Stack, topic: str) -> None:
    await write(broker, topic, [["one"], [SPOILT]])
    await write(broker, topic, [["other"]], partition=1)
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.size_is_too_small)
    aside: list[DamagedRecords] = []
    reading = asyncio.create_task(read(broker, topic, "never", aside.append))
    async with asyncio.timeout(60):
        while not aside:
            await asyncio.sleep(0.1)
    reading.cancel()
    assert [(one.first, one.next) for one in aside] == [(1, 2)]


async def test_a_rebuild_and_a_backup_pass_it_over_and_say_so(broker: Stack, topic: str) -> None:
    await write(broker, topic, [["one"], [SPOILT, "three"], ["four"]])
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.checksum_is_wrong)
    kafka = kafka_access(broker.settings)
    async with asyncio.timeout(60), open_replay(kafka, [topic]) as replay:
        values = [one.value async for batch in replay.batches(lambda _done, _total: None) for one in batch]
    assert values == [b"one", b"four"]
    assert [(one.first, one.next) for one in replay.damaged] == [(1, 3)]
    async with asyncio.timeout(60), open_log_source(kafka, "any") as source:
        copied = [one.offset async for batch in source.records((topic, 0), Span(0, 4)) for one in batch]
    assert copied == [0, 3]
    assert [(one.first, one.next) for one in source.damaged] == [(1, 3)]


async def test_an_error_that_passes_sets_nothing_aside(broker: Stack, topic: str) -> None:
    await write(broker, topic, [["one"], [SPOILT], ["three"]])
    [file] = kafka_folder(broker).rglob(f"{topic}-0/*.log")
    whole = file.read_bytes()
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.checksum_is_wrong)
    aside: list[DamagedRecords] = []

    async def note(damaged: DamagedRecords) -> None:
        aside.append(damaged)

    tp = TopicPartition(topic, 0)
    async with standalone_consumer(kafka_access(broker.settings), set_aside=note) as consumer, asyncio.timeout(60):
        consumer.assign([tp])
        await consumer.seek_to_beginning()
        found: list[str] = []
        while "three" not in found:
            found += [record.value.decode() for record in (await consumer.getmany(timeout_ms=100)).get(tp, [])]
            if tp in consumer._fetcher._suspects and file.read_bytes() != whole:
                file.write_bytes(whole)
    assert found == ["one", SPOILT, "three"]
    assert not aside


async def test_nothing_is_passed_over_before_it_is_set_aside(broker: Stack, topic: str) -> None:
    await write(broker, topic, [["one"], [SPOILT], ["three"]])
    await write(broker, topic, [["other"]], partition=1)
    damage.damage(kafka_folder(broker), topic, SPOILT, damage.checksum_is_wrong)
    asked, may = asyncio.Event(), asyncio.Event()

    async def note(_damaged: DamagedRecords) -> None:
        asked.set()
        await may.wait()

    consumer = CarefulConsumer(bootstrap_servers=broker.settings.kafka, set_aside=note, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            tp = TopicPartition(topic, 0)
            consumer.assign([tp, TopicPartition(topic, 1)])
            found: list[str] = []
            while not asked.is_set() or "other" not in found:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [record.value.decode() for record in records]
            assert await consumer.position(tp) == 1
            may.set()
            while "three" not in found:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [record.value.decode() for record in records]
        assert sorted(found) == ["one", "other", "three"]
        assert consumer.past_no_records(tp, 1) == 2
        assert consumer.past_no_records(tp, 2) == 2
    finally:
        await consumer.stop()
