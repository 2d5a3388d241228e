"""The ends of jobs, read from a real Kafka."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from soulcaster.adapters.kafka.job_ends import CLOCK_SKEW_MS, KafkaJobEnds
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.processes.settings import Settings
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import FIX_COMMANDS, JOB_EVENTS
from tests.support.make import NOW

pytestmark = pytest.mark.integration

AT_MS = 1_700_000_000_000


async def tell(settings: Settings, job_id: str, status: JobStatus, *, at_ms: int = AT_MS) -> Record:
    """Tell a step of a job; return a command of the same project, as old as the step."""
    project = settings.app_id
    event = JobEvent(job_id=job_id, project_id=project, cluster_id="c1", seq=1, status=status, at=NOW)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        sent = await producer.send_and_wait(JOB_EVENTS.name, event.to_bytes(), project.encode(), timestamp_ms=at_ms)
    return Record(FIX_COMMANDS.name, sent.partition, 0, at_ms, project.encode(), b"")


async def test_a_job_has_ended_once_its_end_is_told(fresh_settings: Settings) -> None:
    ends = KafkaJobEnds(fresh_settings.kafka)
    job_id, other = f"{fresh_settings.app_id}-a", f"{fresh_settings.app_id}-b"
    asked = await tell(fresh_settings, job_id, "running")
    await tell(fresh_settings, other, "failed")
    assert not await ends.has_ended(job_id, asked)
    assert await ends.has_ended(other, asked)
    watching = asyncio.create_task(ends.until_ended(job_id, asked))
    await tell(fresh_settings, job_id, "running")
    assert not watching.done()
    await tell(fresh_settings, job_id, "failed")
    await asyncio.wait_for(watching, 30)
    assert await ends.has_ended(job_id, asked)
    await asyncio.wait_for(ends.until_ended(job_id, asked), 30)  # one that has ended already


async def test_what_clocks_that_are_apart_told_is_found(fresh_settings: Settings) -> None:
    ends = KafkaJobEnds(fresh_settings.kafka)
    job_id = f"{fresh_settings.app_id}-c"
    asked = await tell(fresh_settings, job_id, "failed", at_ms=AT_MS - CLOCK_SKEW_MS)
    assert await ends.has_ended(job_id, Record(asked.topic, asked.partition, 0, AT_MS, asked.key, b""))
    newer = Record(asked.topic, asked.partition, 0, 10 * AT_MS, asked.key, b"")
    assert not await ends.has_ended(job_id, newer)  # nothing is so new


async def test_what_is_no_event_is_passed_over(fresh_settings: Settings) -> None:
    job_id = f"{fresh_settings.app_id}-d"
    asked = await tell(fresh_settings, job_id, "running")
    async with AIOKafkaProducer(bootstrap_servers=fresh_settings.kafka) as producer:
        for value in (b"poison", None):
            await producer.send_and_wait(JOB_EVENTS.name, value, b"k", asked.partition, timestamp_ms=AT_MS)
    await tell(fresh_settings, job_id, "success")
    assert await KafkaJobEnds(fresh_settings.kafka).has_ended(job_id, asked)


async def test_a_kafka_that_is_away_is_told() -> None:
    ends = KafkaJobEnds("127.0.0.1:1", timeout=2.0)
    asked = Record(FIX_COMMANDS.name, 0, 0, AT_MS, b"p1", b"")
    with pytest.raises(KafkaUnavailable):
        await ends.has_ended("j1", asked)
    with pytest.raises(KafkaUnavailable):
        await ends.until_ended("j1", asked)
