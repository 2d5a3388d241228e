"""Records that decay on the broker's disk: their partition stands still and says so, the others go on."""

from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.damage import batch_reader
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.dev.stack import Stack
from soulcaster.domain.ids import item_id
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW, FIX_COMMANDS
from tests.loss.conftest import Crew, publisher
from tests.loss.test_loss import project
from tests.loss.test_out_of_range import problems, said, skip_lost
from tests.support.recount import from_log

pytestmark = pytest.mark.integration

DECAYED = "This was written to a disk that forgets."


def decay(stack: Stack, topic: str, words: str) -> int:
    """Change a byte of every record with these words on the broker's disk; return the partition that has them."""
    [file] = [
        file for file in (stack.data_dir / "kafka").rglob(f"{topic}-*/*.log") if words.encode() in file.read_bytes()
    ]
    stored = file.read_bytes()
    with file.open("r+b") as log:
        at = stored.find(words.encode())
        while at != -1:
            log.seek(at)
            log.write(b"#")
            at = stored.find(words.encode(), at + 1)
    return int(file.parent.name.rsplit("-", 1)[1])


def message(project_id: str, name: str, text: str) -> tuple[str, Outgoing]:
    raw = RawFeedback(project_id=project_id, source="test", external_id=name, body=text)
    return item_id(project_id, "test", name), Outgoing(FEEDBACK_RAW.name, b"one key", raw.model_dump_json().encode())


async def post_batches(crew: Crew, batches: Sequence[Sequence[Outgoing]]) -> None:
    """Post batches to one partition, each as a batch on the disk."""
    async with publisher(crew.settings) as to_kafka:
        for batch in batches:
            await to_kafka.publish(batch)


async def test_a_worker_stops_at_a_damaged_batch_until_the_loss_is_accepted(crew: Crew, loop_stack: Stack) -> None:
    project_id = project()
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
    await post_batches(crew, [elsewhere])
    async with publisher(crew.settings) as to_kafka:
        keys = [message.key or b"" for message in elsewhere]
        at = await to_kafka.partitions(FEEDBACK_RAW.name, keys)
    behind = [one for (one, _), place in zip(others, at, strict=True) if place == partition]
    before = {one for (one, _), place in zip(others, at, strict=True) if place != partition} | set(good[:15])

    worker = crew.hire()
    await crew.settled(project_id, len(before))
    assert await said(worker, "records are lost") == 1
    assert set((await from_log(crew.settings, project_id)).items) == before
    [found] = [one for one in await problems(crew) if "damaged" in one.what and FEEDBACK_RAW.name in one.what]
    assert f"partition {partition}" in found.what
    assert "10 records at least" in found.what
    await worker.stop()
    assert "10 records" in await skip_lost(crew)
    assert "accepted" in await skip_lost(crew, "--accept")
    worker = crew.hire()
    await crew.settled(project_id, len(before | set(good) | set(behind)))
    assert "records are lost" not in worker.log.read_text()
    assert set((await from_log(crew.settings, project_id)).items) == before | set(good) | set(behind)


async def test_a_launcher_stops_at_a_damaged_command(crew: Crew, loop_stack: Stack) -> None:
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
        assert await batches.damaged_until(tp, damaged, end) == damaged + 1
        assert await batches.damaged_until(tp, damaged + 1, end) == damaged + 1
        assert await batches.damaged_until(tp, end, end) == end
    read: list[int] = []
    async with GroupConsumer(kafka_access(crew.settings), FIX_COMMANDS.name, group) as consumer:
        async for record in consumer.records():
            read += [record.offset] if record.partition == wanted else [-1]
            if read.count(-1) >= len(keys) - places.count(wanted):
                break
    assert damaged not in read
    assert not [offset for offset in read if offset > damaged]
