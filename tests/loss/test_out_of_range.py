"""Records that were deleted before a consumer read them: its partition stands still and says so, the others go on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from typer.testing import CliRunner

from soulcaster.adapters.kafka import lost_records
from soulcaster.adapters.kafka.careful import pass_over
from soulcaster.adapters.kafka.consumers import SESSION_MS, GroupConsumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.cli.checks import Problem, examine
from soulcaster.cli.main import app as cli
from soulcaster.dev.child import Child
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.topic_copy import Span
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.topics import provision_topics
from soulcaster.processes.worker import SESSION_SECONDS
from soulcaster.wire.topics import FEEDBACK_RAW, FIX_COMMANDS, TABLES, changelog
from tests.loss.conftest import PARTITIONS, Crew, publisher
from tests.loss.test_loss import post, project, raw_items
from tests.support.recount import from_log

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]

STANDS = "records are lost"


@asynccontextmanager
async def admin(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def delete_before(servers: str, offsets: dict[TopicPartition, int]) -> None:
    async with admin(servers) as client:
        await client.delete_records({tp: RecordsToDelete(before_offset=offset) for tp, offset in offsets.items()})


async def spans(crew: Crew, topic: str) -> dict[TopicPartition, Span]:
    async with offsets_of(kafka_access(crew.settings)) as offsets:
        return await offsets.spans([topic])


async def committed(crew: Crew, topic: str) -> dict[TopicPartition, int]:
    async with offsets_of(kafka_access(crew.settings)) as offsets:
        found = await offsets.committed(crew.settings.app_id)
    return {tp: offset for tp, offset in found.items() if tp.topic == topic}


async def all_committed(crew: Crew, topic: str) -> dict[TopicPartition, int]:
    """Return what the workers have committed of a topic, as soon as that is all of it."""
    ends = {tp: span.end for tp, span in (await spans(crew, topic)).items()}
    async with asyncio.timeout(60):
        while await committed(crew, topic) != ends:
            await asyncio.sleep(0.1)
    return ends


def singles(project_id: str, count: int, start: int = 0) -> list[Outgoing]:
    """Items as single messages, spread over all partitions by their keys."""
    return [
        Outgoing(FEEDBACK_RAW.name, str(n).encode(), item.model_dump_json().encode())
        for n, item in enumerate(raw_items(project_id, count, start))
    ]


async def said(worker: Child, words: str) -> int:
    """Return how often a worker's log says something, as soon as it does."""
    async with asyncio.timeout(60):
        while not (count := worker.log.read_text().count(words)):
            await asyncio.sleep(0.1)
    return count


async def skip_lost(crew: Crew, *arguments: str, code: int = 0) -> str:
    """Run `soulcaster topics skip-lost`; return what it printed."""
    command = ["topics", "skip-lost", *arguments, "--data-dir", str(crew.data_dir)]
    done = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert done.exit_code == code, f"{done.exit_code}: {done.output}"
    return done.output + str(done.exception)


async def problems(crew: Crew) -> Sequence[Problem]:
    found = (await examine(crew.settings, crew.data_dir)).problems
    return [one for one in found if "lost" in one.what or "damaged" in one.what]


async def test_a_worker_stops_what_has_lost_records_until_the_loss_is_accepted(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers, raw = crew.settings.kafka, FEEDBACK_RAW.name
    project_id = project()
    under_it, while_away = TopicPartition(raw, 1), TopicPartition(raw, 2)

    # Records are deleted under a running worker, which is behind.
    worker = crew.hire()
    await post(crew, singles(project_id, 40))
    await crew.settled(project_id, 40)
    before = await all_committed(crew, raw)
    os.kill(worker.pid, signal.SIGSTOP)
    await asyncio.sleep(2)  # the broker answers the fetch that was under way
    await post(crew, singles(project_id, 80, start=1_000))
    after = await spans(crew, raw)
    await delete_before(servers, {under_it: after[under_it].end - 3})
    os.kill(worker.pid, signal.SIGCONT)
    gone = after[under_it].end - before[under_it]
    await crew.settled(project_id, 120 - gone)
    assert await said(worker, STANDS) == 1
    assert f"partition 1: {gone - 3} records before" in worker.log.read_text()

    # More are deleted while it is away.
    await worker.stop()
    before = await committed(crew, raw)
    await post(crew, singles(project_id, 80, start=2_000))
    after = await spans(crew, raw)
    await delete_before(servers, {while_away: after[while_away].end - 5})
    worker = crew.hire()
    also_gone = after[while_away].end - before[while_away]
    one_more_gone = after[under_it].end - before[under_it] - gone
    await crew.settled(project_id, 200 - gone - also_gone - one_more_gone)
    assert await said(worker, STANDS) == 2
    now = await committed(crew, raw)
    assert {tp: now[tp] for tp in (under_it, while_away)} == {tp: before[tp] for tp in (under_it, while_away)}

    # The doctor shows it, and a person accepts it.
    assert [one.what.split(": ")[1] for one in await problems(crew)] == [
        f"{gone - 3} records before offset {after[under_it].first} were deleted before they were read",
        f"{also_gone - 5} records before offset {after[while_away].end - 5} were deleted before they were read",
    ]
    with monkeypatch.context() as patched:
        patched.setattr(lost_records, "LEAVE_SECONDS", 0.1)
        assert "stop them first" in await skip_lost(crew, "--accept", code=1)
    await worker.kill()  # Kafka notices later
    assert f"{also_gone - 5} records" in await skip_lost(crew)
    assert await committed(crew, raw) == now
    said_meanwhile = await skip_lost(crew, "--accept")
    assert "1 processes are in the group" in said_meanwhile
    assert "accepted" in said_meanwhile
    worker = crew.hire()
    await crew.settled(project_id, 200 - (gone - 3) - (also_gone - 5))
    assert STANDS not in worker.log.read_text()
    assert "Nothing is lost" in await skip_lost(crew)

    # The changelogs of the tables are deleted and made again.
    await worker.stop()
    stored = await from_log(crew.settings, project_id)
    changelogs = [changelog(crew.settings.app_id, table).name for table in TABLES]
    async with admin(servers) as client:
        await client.delete_topics(changelogs)
    missing = set(changelogs)
    async with asyncio.timeout(60):
        while missing:
            missing -= set((await provision_topics(crew.settings)).created)
    await post(crew, singles(project_id, 8, start=3_000))
    worker = crew.hire()
    for name in changelogs:
        await said(worker, f"{name}, partition")
    async with asyncio.timeout(60):
        while len((later := await from_log(crew.settings, project_id)).items) < len(stored.items) + 8:
            await asyncio.sleep(0.1)  # it normalizes: only what needs the tables stands still
    assert later.assigned == stored.assigned
    assert all("has lost a table" in one.what for one in await problems(crew))


def test_a_process_that_was_killed_is_out_of_its_group_before_a_loss_is_refused() -> None:
    assert max(SESSION_SECONDS, SESSION_MS / 1000) < lost_records.LEAVE_SECONDS


async def test_a_launcher_that_was_away_too_long_stops_that_partition(crew: Crew) -> None:
    servers, group = crew.settings.kafka, f"group-{uuid4().hex[:8]}"
    messages = [Outgoing(FIX_COMMANDS.name, str(n).encode(), str(n).encode()) for n in range(40)]

    async def read(count: int) -> list[int]:
        """Return the partitions of the next records, each committed."""
        async with (
            GroupConsumer(kafka_access(crew.settings), FIX_COMMANDS.name, group, set_aside=pass_over) as consumer,
            asyncio.timeout(60),
        ):
            found: list[int] = []
            async for record in consumer.records():
                found.append(record.partition)
                await consumer.commit(record)
                if len(found) == count:
                    return found
        raise AssertionError

    async with publisher(crew.settings) as to_kafka:
        await to_kafka.publish(messages)
    assert set(await read(40)) == set(range(PARTITIONS))
    before = await spans(crew, FIX_COMMANDS.name)
    async with publisher(crew.settings) as to_kafka:
        await to_kafka.publish(messages)
    hurt = TopicPartition(FIX_COMMANDS.name, 0)
    after = await spans(crew, FIX_COMMANDS.name)
    await delete_before(servers, {hurt: after[hurt].end - 1})
    others = sum(span.end - before[tp].end for tp, span in after.items() if tp != hurt)
    assert 0 not in await read(others)
