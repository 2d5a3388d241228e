"""Producers that use Kafka's transactions: what they take back is never seen, and their markers are no work left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from soulcaster.adapters.kafka.careful import pass_over
from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.cli.checks import Report, examine
from soulcaster.domain.ids import item_id
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.feedback import RawFeedback
from soulcaster.wire.topics import FEEDBACK_RAW, FIX_COMMANDS
from tests.loss.conftest import Crew
from tests.loss.test_loss import project
from tests.loss.test_out_of_range import committed, spans
from tests.support.recount import from_log

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]


def value(project_id: str, name: str) -> bytes:
    raw = RawFeedback(project_id=project_id, source="test", external_id=name, body=f"The {name} page is empty.")
    return raw.model_dump_json().encode()


@asynccontextmanager
async def producer(crew: Crew) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(
        bootstrap_servers=crew.settings.kafka, transactional_id=f"tx-{uuid4().hex[:8]}"
    ) as opened:
        yield opened


async def report(crew: Crew) -> Report:
    """Return what doctor finds but the web server, which does not run here."""
    found = await examine(crew.settings, crew.data_dir)
    assert [one for one in found.problems if "web does not answer" not in one.what and "launcher" not in one.what] == []
    return found


def to_read(found: Report, crew: Crew) -> int:
    return sum(one.lag for one in found.behind if one.topic == FEEDBACK_RAW.name and one.group == crew.settings.app_id)


async def all_read(crew: Crew) -> None:
    """Return once the workers have committed all of feedback.raw that can be read."""
    ends = {tp: span.end for tp, span in (await spans(crew, FEEDBACK_RAW.name)).items() if span.end}
    found = None
    try:
        async with asyncio.timeout(60):
            while (found := await committed(crew, FEEDBACK_RAW.name)) != ends:
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"committed: {found}, ends: {ends}") from None


async def test_what_is_committed_is_seen_and_markers_are_no_lag(crew: Crew) -> None:
    project_id = project()
    async with producer(crew) as first, producer(crew) as second:

        async def send(by: AIOKafkaProducer, *names: str, partition: int = 0) -> None:
            for name in names:
                await by.send_and_wait(FEEDBACK_RAW.name, value(project_id, name), partition=partition)

        for _ in range(3):  # a partition that begins with markers, and has nothing else
            await first.begin_transaction()
            await send(first, "never-seen", partition=2)
            await first.abort_transaction()
        crew.hire()
        async with first.transaction():
            await send(first, "kept-1", "kept-2")
        await first.begin_transaction()
        await send(first, "taken-back")
        await first.abort_transaction()
        await crew.settled(project_id, 2)
        await all_read(crew)  # up to the end, which is a marker
        assert to_read(await report(crew), crew) == 0

        await second.begin_transaction()
        await send(second, "open")
        async with first.transaction():
            await send(first, "behind-the-open-one")
        async with first.transaction():
            await send(first, "elsewhere", partition=1)
        await crew.settled(project_id, 3)
        await all_read(crew)
        assert to_read(await report(crew), crew) == 0
        assert await crew.clustered(project_id) == 3

        await second.commit_transaction()
        await crew.settled(project_id, 5)
        await all_read(crew)
    wanted = {"kept-1", "kept-2", "open", "behind-the-open-one", "elsewhere"}
    seen = set((await from_log(crew.settings, project_id)).items)
    assert seen == {item_id(project_id, "test", name) for name in wanted}


async def test_a_launcher_commits_past_a_marker(crew: Crew) -> None:
    group, tp = f"group-{uuid4().hex[:8]}", TopicPartition(FIX_COMMANDS.name, 1)
    async with producer(crew) as by, by.transaction():
        await by.send_and_wait(FIX_COMMANDS.name, b"anything", partition=1)
    kafka = kafka_access(crew.settings)
    async with (
        asyncio.timeout(60),
        GroupConsumer(kafka, FIX_COMMANDS.name, group, set_aside=pass_over) as consumer,
        offsets_of(kafka) as offsets,
    ):
        reading = aiter(consumer.records())
        await consumer.commit(await anext(reading))
        going_on = asyncio.ensure_future(anext(reading))
        end = (await offsets.spans([tp.topic]))[tp].end
        while (await offsets.committed(group)).get(tp) != end:
            await asyncio.sleep(0.1)
        going_on.cancel()
