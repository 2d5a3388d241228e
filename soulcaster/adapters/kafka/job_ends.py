"""The ends of jobs, read from job.events by the launcher: no group is joined, nothing is committed, nothing is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from soulcaster.adapters.kafka.client import onlooker
from soulcaster.adapters.kafka.offsets import TIMEOUT_SECONDS
from soulcaster.domain.lifecycle import NEXT
from soulcaster.ports.messaging import Record
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS

CLOCKS_APART_MS = 3600 * 1000
"""How far the clocks of those who tell of jobs may be apart: events are read from so long before the command on."""


class KafkaJobEnds:
    """JobEnds over a consumer for each call; the events have the command's key, the project, and so its partition."""

    def __init__(self, servers: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Prepare; `timeout` is in seconds, for finding where to read, and for each answer after that."""
        self._servers = servers
        self._timeout = timeout

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        """Tell whether the job has ended; see `ports.JobEnds`."""
        async with self._reading(asked) as (consumer, tp, end):
            while await consumer.position(tp) < end:
                found: list[ConsumerRecord] = []
                async with asyncio.timeout(self._timeout):
                    while not found:
                        found = (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
                if any(_ends(record, job_id) for record in found):
                    return True
            return False

    async def until_ended(self, job_id: str, asked: Record) -> None:
        """Return once the job has ended; see `ports.JobEnds`."""
        async with self._reading(asked) as (consumer, _tp, _end):
            async for record in consumer:
                if _ends(record, job_id):
                    return

    @asynccontextmanager
    async def _reading(self, asked: Record) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition, int]]:
        """Give a consumer that stands before all events there can be of the job, its partition, and where that ends.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        tp = TopicPartition(JOB_EVENTS.name, asked.partition)
        async with onlooker(self._servers, timeout=self._timeout) as consumer:
            async with asyncio.timeout(self._timeout):
                consumer.assign([tp])
                end = (await consumer.end_offsets([tp]))[tp]
                since = max(0, asked.timestamp_ms - CLOCKS_APART_MS)
                first = (await consumer.offsets_for_times({tp: since}))[tp]
                consumer.seek(tp, end if first is None else first.offset)
            yield consumer, tp, end


def _ends(record: ConsumerRecord, job_id: str) -> bool:
    """Tell whether a record of job.events ends this job."""
    try:
        event = JobEvent.model_validate_json(record.value or b"")
    except ValidationError:
        return False  # agents/project sets it aside
    return event.job_id == job_id and not NEXT[event.status]
