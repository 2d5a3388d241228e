"""Jobs followed on a real Kafka."""

import asyncio
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.job_feed import CLOCK_SKEW_MS, KafkaJobFeed
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import FIX_COMMANDS, JOB_EVENTS
from tests.support.make import NOW

pytestmark = pytest.mark.integration

AT_MS = 1_700_000_000_000


def clock() -> datetime:
    return datetime.now(UTC)


async def publish(
    settings: Settings, job_id: str, state: JobState, *, at_ms: int = AT_MS, **fields: int
) -> tuple[Record, int]:
    """Publish a step of a job; return a command of the same project, as old as the step, and the step's offset."""
    project = settings.app_id
    step = JobStep(f"{job_id} {state} {fields}", job_id, project, "c1", 1, state, NOW, **fields)  # type: ignore[arg-type]
    value = JobEvent.of(step).to_bytes()
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        sent = await producer.send_and_wait(JOB_EVENTS.name, value, project.encode(), timestamp_ms=at_ms)
    return Record(FIX_COMMANDS.name, sent.partition, 0, at_ms, project.encode(), b""), sent.offset


async def test_a_watch_has_the_whole_log_and_follows_it(fresh_settings: Settings) -> None:
    feed = KafkaJobFeed(kafka_access(fresh_settings), clock)
    job_id, other = f"{fresh_settings.app_id}-a", f"{fresh_settings.app_id}-b"
    asked, _ = await publish(fresh_settings, job_id, "approved")
    _, fence = await publish(fresh_settings, job_id, "launching", launch=1)
    await publish(fresh_settings, other, "cancelled")
    async with asyncio.timeout(60), feed.watch(job_id, asked) as watch:
        job = watch.job
        assert job is not None
        assert (job.state, job.launch, job.fence) == ("launching", 1, fence)
        assert watch.heard_at is None
        await watch.changed(job, 0.01)
        assert watch.job == job
        changed = asyncio.create_task(watch.changed(job, 60))
        await publish(fresh_settings, job_id, "running", token=fence)
        await changed
        assert watch.job.state == "running"
        assert watch.heard_at is not None
        await publish(fresh_settings, job_id, "succeeded", token=fence)
        await watch.caught_up()
        assert watch.job.state == "succeeded"
    async with feed.watch("unknown", asked) as watch:
        assert watch.job is None


async def test_what_clocks_that_are_apart_have_stamped_is_found(fresh_settings: Settings) -> None:
    feed = KafkaJobFeed(kafka_access(fresh_settings), clock)
    job_id = f"{fresh_settings.app_id}-c"
    asked, _ = await publish(fresh_settings, job_id, "cancelled", at_ms=AT_MS - CLOCK_SKEW_MS)
    async with feed.watch(job_id, Record(asked.topic, asked.partition, 0, AT_MS, asked.key, b"")) as watch:
        assert watch.job is not None
    async with feed.watch(job_id, Record(asked.topic, asked.partition, 0, 10 * AT_MS, asked.key, b"")) as watch:
        assert watch.job is None, "nothing is so new"


async def test_what_is_no_event_is_passed_over(fresh_settings: Settings) -> None:
    job_id = f"{fresh_settings.app_id}-d"
    asked, _ = await publish(fresh_settings, job_id, "approved")
    async with AIOKafkaProducer(bootstrap_servers=fresh_settings.kafka) as producer:
        for value in (b"poison", None):
            await producer.send_and_wait(JOB_EVENTS.name, value, b"k", asked.partition, timestamp_ms=AT_MS)
    await publish(fresh_settings, job_id, "succeeded")
    async with KafkaJobFeed(kafka_access(fresh_settings), clock).watch(job_id, asked) as watch:
        assert watch.job is not None
        assert watch.job.state == "succeeded"


async def test_a_kafka_that_does_not_answer_is_reported() -> None:
    feed = KafkaJobFeed(KafkaAccess("127.0.0.1:1"), clock, timeout=2.0)
    with pytest.raises(KafkaUnavailable):
        async with feed.watch("j1", Record(FIX_COMMANDS.name, 0, 0, AT_MS, b"p1", b"")):
            pass
