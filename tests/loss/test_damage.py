"""Records that nobody can read: they become a dead letter, and their partition goes on like the others."""

from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from soulcaster.adapters.kafka.backward_reader import span_of
from soulcaster.adapters.kafka.consumers import GroupConsumer, standalone_consumer
from soulcaster.adapters.kafka.damage import batch_reader
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.stack import Stack
from soulcaster.domain.ids import item_id
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.topics import DEAD_LETTERS, FEEDBACK_ITEMS, FEEDBACK_RAW, FIX_COMMANDS, changelog
from tests.loss.conftest import Crew, publisher
from tests.loss.test_loss import project
from tests.loss.test_out_of_range import all_committed, problems, said
from tests.support import damage
from tests.support.recount import from_log

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]

DECAYED = "This was written to a disk that forgets."


def decay(stack: Stack, topic: str, words: str) -> int:
    """Damage every batch with these words on the broker's disk; return the partition that has them."""
    return damage.damage(stack.data_dir / "kafka", topic, words, damage.checksum_is_wrong)


async def letters(crew: Crew, topic: str) -> list[dict[str, str]]:
    """Return the headers of the dead letters of what was damaged on a topic."""
    found: list[dict[str, str]] = []
    kafka = kafka_access(crew.settings)
    async with offsets_of(kafka) as offsets, standalone_consumer(kafka) as consumer:
        for tp, span in (await offsets.spans([DEAD_LETTERS.name])).items():
            async for records in span_of(consumer, tp, span):
                all_headers = [{name: value.decode() for name, value in one.headers} for one in records]
                found += [headers for headers in all_headers if headers["topic"] == topic and "until" in headers]
    return found


def message(project_id: str, name: str, text: str) -> tuple[str, Outgoing]:
    raw = RawFeedback(project_id=project_id, source="test", external_id=name, body=text)
    return item_id(project_id, "test", name), Outgoing(FEEDBACK_RAW.name, b"one key", raw.model_dump_json().encode())


async def post_batches(crew: Crew, batches: Sequence[Sequence[Outgoing]]) -> None:
    """Post batches to one partition, each as a batch on the disk."""
    async with publisher(crew.settings) as to_kafka:
        for batch in batches:
            await to_kafka.publish(batch)


async def test_damaged_batches_are_set_aside_and_a_table_with_a_damaged_row_stands_still_alone(
    crew: Crew, loop_stack: Stack
) -> None:
    project_id, whole = project(), project()
    while await partition_of(crew, whole) == await partition_of(crew, project_id):
        whole = project()
    good, messages = [], []
    for n in range(6):
        texts = [DECAYED if n in {3, 4} else f"The export of page {n} is late." for _ in range(5)]
        batch = [message(project_id, f"{n}-{m}", text) for m, text in enumerate(texts)]
        good += [] if n in {3, 4} else [one for one, _ in batch]
        messages.append([one for _, one in batch])
    await post_batches(crew, messages)
    partition = decay(loop_stack, FEEDBACK_RAW.name, DECAYED)
    others = [message(project_id, f"other-{n}", f"Page {n} is empty.") for n in range(40)]
    elsewhere = [Outgoing(one.topic, str(n).encode(), one.value) for n, (_, one) in enumerate(others)]
    await post_batches(crew, [elsewhere, [message(whole, "1", "The export is late.")[1]]])

    worker = crew.hire()
    wanted = set(good) | {one for one, _ in others}
    await crew.settled(project_id, len(wanted))
    assert set((await from_log(crew.settings, project_id)).items) == wanted
    assert await said(worker, "are set aside") == 2
    aside = await letters(crew, FEEDBACK_RAW.name)
    assert {(one["partition"], one["offset"], one["until"]) for one in aside} == {
        (str(partition), "15", "20"),
        (str(partition), "20", "25"),
    }
    await all_committed(crew, FEEDBACK_RAW.name)
    assert not await problems(crew)
    assert worker.running

    # A row of a table is damaged, too.
    await worker.stop()
    clusters = changelog(crew.settings.app_id, "clusters").name
    partition = decay(loop_stack, clusters, f"|{project_id}|")
    worker = crew.hire()
    for one in (project_id, whole):
        await post_batches(crew, [[message(one, "late", "The printer is on fire.")[1]]])
    await crew.settled(whole, 2)
    assert await said(worker, "so the table has lost") >= 1
    assert worker.running
    assert await crew.clustered(project_id) == len(wanted)
    assert {one["partition"] for one in await letters(crew, clusters)} == {str(partition)}
    [found] = [one for one in await problems(crew) if "worker has lost a table" in one.what][:1]
    assert f"{clusters}, partition {partition}" in found.what


async def partition_of(crew: Crew, project_id: str) -> int:
    async with publisher(crew.settings) as to_kafka:
        [partition] = await to_kafka.partitions(FEEDBACK_ITEMS.name, [project_id.encode()])
        return partition


async def test_a_launcher_sets_a_damaged_command_aside(crew: Crew, loop_stack: Stack) -> None:
    group, words = f"group-{uuid4().hex[:8]}", f"damaged {uuid4().hex}"
    keys = [str(n).encode() for n in range(40)]
    async with publisher(crew.settings) as to_kafka:
        [wanted, *_] = places = await to_kafka.partitions(FIX_COMMANDS.name, keys)
        for n, key in enumerate(keys):
            await to_kafka.publish([Outgoing(FIX_COMMANDS.name, key, words.encode() if n == 0 else b"whole")])
    assert decay(loop_stack, FIX_COMMANDS.name, words) == wanted
    tp = TopicPartition(FIX_COMMANDS.name, wanted)
    async with offsets_of(kafka_access(crew.settings)) as offsets:
        end = (await offsets.spans([FIX_COMMANDS.name]))[tp].end
    damaged = end - places.count(wanted)
    async with batch_reader(kafka_access(crew.settings)) as batches:
        assert [one.next for one in (await batches.damage(tp, damaged, end)).found] == [damaged + 1]
        assert not (await batches.damage(tp, damaged + 1, end)).found
        assert not (await batches.damage(tp, end, end)).found
    aside: list[DamagedRecords] = []

    async def note(one: DamagedRecords) -> None:
        aside.append(one)

    read: list[int] = []
    consumer = GroupConsumer(kafka_access(crew.settings), FIX_COMMANDS.name, group, set_aside=note)
    async with consumer:
        async for record in consumer.records():
            read.append(record.offset)
            if len(read) == len(keys) - 1:
                break
    assert [(one.partition, one.first, one.next) for one in aside] == [(wanted, damaged, damaged + 1)]
