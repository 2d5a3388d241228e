"""The whole log of a job: put together from Kafka when the job has ended, and read again from the archive."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import structlog
from pydantic import ValidationError

from soulcaster.domain.fixes.job_log import LogChunk, LogFence, StepLine, merged
from soulcaster.ports.archive import Archive
from soulcaster.ports.messaging import Record
from soulcaster.ports.topic_reader import TopicReader
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS, JOB_LOGS, Topic

CLOCK_SKEW_MS = 3600 * 1000
"""How far the clocks of those who publish may differ: records are read from this long before the command."""

INFLATED_AT_ONCE = 1024 * 1024
"""Bytes of a log that are decompressed at once."""

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's window parameter of gzip (RFC 1952)."""

_log = structlog.get_logger(__name__)


def archive_key(project_id: str, job_id: str) -> str:
    """Return the key of a job's log in the archive."""
    return f"{project_id}/{job_id}.log.gz"


class LogArchiver:
    """Writes the logs of jobs that have ended to the archive."""

    def __init__(self, topics: TopicReader, archive: Archive) -> None:
        self._topics = topics
        self._archive = archive

    async def archive(self, project_id: str, job_id: str, asked: Record) -> str:
        """Write a job's log to the archive, once, and return its URL.

        Args:
            project_id: the job's project.
            job_id: the job. Nobody writes to its log any more: what comes later is not in the archive.
            asked: the record of fix.commands that asks for the job; its partition is that of the project, and nothing
                of the job is older.

        Raises:
            KafkaUnavailable: Kafka does not answer.
            ArchiveUnavailable: the archive does not answer.
        """
        key = archive_key(project_id, job_id)
        url = await self._archive.find(key)
        if url is None:
            url = await self._archive.write(key, self._compressed(job_id, asked))
        return url

    async def _compressed(self, job_id: str, asked: Record) -> AsyncIterator[bytes]:
        """Yield the log as gzip; the same log always gives the same bytes."""
        steps = await self._steps(job_id, asked)
        packer = zlib.compressobj(wbits=_GZIP)
        async for text in self._texts(job_id, asked, steps):
            if part := packer.compress(text.encode()):
                yield part
        yield packer.flush()

    async def _texts(self, job_id: str, asked: Record, steps: Sequence[StepLine]) -> AsyncIterator[str]:
        """Yield the log in order of time. Few lines are those of steps; the others are never all in memory."""
        fence, left = LogFence(), list(steps)
        async for records in self._records(JOB_LOGS, job_id, asked):
            found = [chunk for record in records if (chunk := _chunk(record, job_id)) is not None]
            chunks = [chunk for chunk in found if not fence.is_outdated(chunk)]
            if chunks:
                due = [step for step in left if step.at <= chunks[-1].at]
                left = left[len(due) :]
                for text in merged(chunks, due):
                    yield text
        for text in merged((), left):
            yield text

    async def _steps(self, job_id: str, asked: Record) -> Sequence[StepLine]:
        found: dict[str, StepLine] = {}
        async for records in self._records(JOB_EVENTS, job_id, asked):
            for record in records:
                event = _event(record)
                if event is not None and event.job_id == job_id and event.log:
                    found[event.step().place] = StepLine(event.at, event.log)
        return [found[place] for place in sorted(found)]

    async def _records(self, topic: Topic, job_id: str, asked: Record) -> AsyncIterator[Sequence[Record]]:
        """Yield the records of a topic that may be of the job."""
        since_ms = asked.timestamp_ms - CLOCK_SKEW_MS
        name = job_id.encode()
        async with aclosing(self._topics.since(topic.name, asked.partition, since_ms)) as batches:
            async for records in batches:
                yield [record for record in records if name in (record.value or b"")]


def _chunk(record: Record, job_id: str) -> LogChunk | None:
    """Return the chunk of a record, if it is of this job."""
    try:
        log = JobLog.model_validate_json(record.value or b"")
    except ValidationError:
        return None  # agents/project dead-letters it
    return log.chunk(record.offset) if log.job_id == job_id else None


def _event(record: Record) -> JobEvent | None:
    try:
        return JobEvent.model_validate_json(record.value or b"")
    except ValidationError:
        return None  # agents/project dead-letters it


async def read_archived(archive: Archive, key: str, first: int, limit: int) -> tuple[bytes, bool]:
    """Return a part of an archived log, and whether more follows it.

    Args:
        archive: the archive.
        key: of the log.
        first: how many bytes of the log to pass over.
        limit: how many bytes to return at most.

    Raises:
        NotFound: the archive has no such log.
        ArchiveUnavailable: the archive does not answer.
    """
    unpacker = zlib.decompressobj(_GZIP)
    found = bytearray()
    async with aclosing(archive.read(key)) as parts:
        async for part in parts:
            data = part
            while data and len(found) <= limit:
                inflated = await asyncio.to_thread(unpacker.decompress, data, INFLATED_AT_ONCE)
                data = unpacker.unconsumed_tail
                passed = min(first, len(inflated))
                first -= passed
                found += inflated[passed:]
            if len(found) > limit:
                return bytes(found[:limit]), True
    return bytes(found), False
