"""The ends of jobs, read from job.events by the launcher: it joins no group, commits nothing and remembers nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.domain.lifecycle import NEXT
from soulcaster.ports.messaging import Record
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS

CLOCK_SKEW_MS = 3600 * 1000
"""How far the clocks of those who publish job events may differ: events are read from this long before the command."""


class KafkaJobEnds:
    """JobEnds over a consumer for each call; the events have the command's key, the project, and so its partition."""

    def __init__(self, servers: str, *, timeout: float = REQUEST_SECONDS) -> None:
        """Connect nothing yet. `timeout` is in seconds, for finding where to read, and for each response after that."""
        self._servers = servers
        self._timeout = timeout

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        """Tell whether the job has ended; see `ports.job_ends.JobEnds`."""
        async with self._events_since(asked) as (consumer, tp, end):
            while await consumer.position(tp) < end:
                found: list[ConsumerRecord] = []
                async with asyncio.timeout(self._timeout):
                    while not found:
                        found = (await consumer.getmany(tp, timeout_ms=FETCH_WAIT_MS)).get(tp, [])
                if any(_ends(record, job_id) for record in found):
                    return True
            return False

    async def until_ended(self, job_id: str, asked: Record) -> None:
        """Return once the job has ended; see `ports.job_ends.JobEnds`."""
        async with self._events_since(asked) as (consumer, _tp, _end):
            async for record in consumer:
                if _ends(record, job_id):
                    return

    @asynccontextmanager
    async def _events_since(self, asked: Record) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition, int]]:
        """Give a consumer positioned before every event of the job, its partition, and where that ends now.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        tp = TopicPartition(JOB_EVENTS.name, asked.partition)
        async with standalone_consumer(self._servers, timeout=self._timeout) as consumer:
            async with asyncio.timeout(self._timeout):
                consumer.assign([tp])
                end = (await consumer.end_offsets([tp]))[tp]
                since = max(0, asked.timestamp_ms - CLOCK_SKEW_MS)
                first = (await consumer.offsets_for_times({tp: since}))[tp]
                consumer.seek(tp, end if first is None else first.offset)
            yield consumer, tp, end


def _ends(record: ConsumerRecord, job_id: str) -> bool:
    """Tell whether a record of job.events ends this job."""
    try:
        event = JobEvent.model_validate_json(record.value or b"")
    except ValidationError:
        return False  # agents/project dead-letters it
    return event.job_id == job_id and not NEXT[event.status]
