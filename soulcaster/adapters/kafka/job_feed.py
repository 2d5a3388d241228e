"""Jobs followed on job.events and job.logs by the launcher: it joins no group, commits nothing and remembers nothing.

Steps and log lines of a job have the key of its command, the project, and so its partition. Of job.logs only what comes
after the watch was opened is read, as a sign of life.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.domain.lifecycle import Job, advance, start
from soulcaster.ports.messaging import Record
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS, JOB_LOGS

CLOCK_SKEW_MS = 3600 * 1000
"""How far the clocks of those who publish job events may differ: events are read from this long before the command."""


class KafkaJobFeed:
    """JobFeed over a consumer of its own for each watch."""

    def __init__(self, kafka: KafkaAccess, clock: Callable[[], datetime], *, timeout: float = REQUEST_SECONDS) -> None:
        """Connect nothing yet. `timeout` is in seconds, for each response of Kafka."""
        self.kafka = kafka
        self._clock = clock
        self._timeout = timeout

    @asynccontextmanager
    async def watch(self, job_id: str, asked: Record) -> AsyncIterator["KafkaJobWatch"]:
        """Give a watch of a job; see `ports.job_feed.JobFeed`.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        events, logs = (TopicPartition(topic.name, asked.partition) for topic in (JOB_EVENTS, JOB_LOGS))
        async with standalone_consumer(self.kafka, timeout=self._timeout) as consumer:
            async with asyncio.timeout(self._timeout):
                consumer.assign([events, logs])
                ends = await consumer.end_offsets([events, logs])
                since = max(0, asked.timestamp_ms - CLOCK_SKEW_MS)
                first = (await consumer.offsets_for_times({events: since}))[events]
                consumer.seek(events, ends[events] if first is None else first.offset)
                consumer.seek(logs, ends[logs])
            watch = KafkaJobWatch(job_id, consumer, events, self)
            reading = asyncio.create_task(watch.read())
            try:
                await watch.caught_up()
                yield watch
            finally:
                reading.cancel()
                await asyncio.wait({reading})

    async def end(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
        """Return the offset after the last record of a partition."""
        async with unavailable_errors(self.kafka):
            async with asyncio.timeout(self._timeout):
                return int((await consumer.end_offsets([tp]))[tp])

    def now(self) -> datetime:
        """Return the time."""
        return self._clock()


class KafkaJobWatch:
    """JobWatch over a consumer that a task reads."""

    def __init__(self, job_id: str, consumer: AIOKafkaConsumer, tp: TopicPartition, feed: KafkaJobFeed) -> None:
        self.job: Job | None = None
        self.heard_at: datetime | None = None
        self._job_id = job_id
        self._name = job_id.encode()
        self._consumer = consumer
        self._tp = tp
        self._feed = feed
        self._position = -1
        self._moved = asyncio.Condition()
        self._failure: BaseException | None = None

    async def read(self) -> None:
        """Read records for ever; a failure is raised where somebody waits."""
        try:
            while True:
                found = await self._consumer.getmany(timeout_ms=FETCH_WAIT_MS)
                position = await self._consumer.position(self._tp)
                async with self._moved:
                    for records in found.values():
                        for record in records:
                            self._take(record)
                    self._position = position
                    self._moved.notify_all()
        except Exception as error:
            async with self._moved:
                self._failure = error
                self._moved.notify_all()

    async def changed(self, since: Job | None, seconds: float) -> None:
        """Return when the job is another than `since`, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._wait(lambda: self.job != since)
        except TimeoutError:
            return

    async def caught_up(self) -> None:
        """Return when everything has been read that Kafka had acknowledged at the time of the call."""
        end = await self._feed.end(self._consumer, self._tp)
        await self._wait(lambda: self._position >= end)

    async def _wait(self, done: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: done() or self._failure is not None)
        if self._failure is not None:
            async with unavailable_errors(self._feed.kafka):
                raise self._failure

    def _take(self, record: ConsumerRecord) -> None:
        """Advance the job by a record, or note that its program lives; agents/project dead-letters invalid records."""
        value = record.value or b""
        if self._name not in value:
            return
        try:
            if record.topic == JOB_LOGS.name:
                log = JobLog.model_validate_json(value)
                job_id, token = log.job_id, log.token
            else:
                step = JobEvent.model_validate_json(value).step(record.offset)
                job_id, token = step.job_id, step.token
                if job_id == self._job_id:
                    self.job = start(step) if self.job is None else advance(self.job, step)
        except ValidationError:
            return
        if job_id == self._job_id and self.job is not None and token == self.job.fence:
            self.heard_at = self._feed.now()
