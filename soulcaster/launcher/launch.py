"""From fix commands to jobs: each command is run to its end, its steps told on job.events, and only then committed.

A command delivered again after a crash runs again under the same job id; steps the job has had already change nothing.
A job that has ended, because somebody cancelled it or told its end, is not launched, and one that somebody ends while
it runs is stopped. What says so is job.events, so a launcher that was killed finds the same when it starts again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import structlog
from pydantic import ValidationError

from soulcaster.domain.commands import Fix
from soulcaster.ports.clock import Clock
from soulcaster.ports.job_ends import JobEnds
from soulcaster.ports.launch import LaunchBackend, Progress
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.retrying import until_available
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import JOB_EVENTS

log = structlog.get_logger(__name__)


async def launch_all(
    records: AsyncIterator[Record],
    *,
    backend: LaunchBackend,
    publisher: Publisher,
    ends: JobEnds,
    clock: Clock,
    commit: Callable[[Record], Awaitable[None]],
) -> None:
    """Launch what records of fix.commands ask for, one after the other, for as long as there are any.

    Raises:
        KafkaUnavailable: a dead letter could not be sent; the record is not committed.
    """
    async for record in records:
        try:
            command = FixCommand.model_validate_json(record.value or b"")
        except ValidationError as error:
            await send_dead_letters(publisher, [dead_letter(record, f"launcher: {error}")])
        else:
            await _Launch(command, backend, publisher, clock).unless_ended(ends, record)
        await until_available(lambda record=record: commit(record))  # type: ignore[misc]


class _Launch:
    """One job, from its command to its end."""

    def __init__(self, command: FixCommand, backend: LaunchBackend, publisher: Publisher, clock: Clock) -> None:
        self._command = command
        self._backend = backend
        self._publisher = publisher
        self._clock = clock
        self._seq = 0
        self._told_its_end = False

    async def unless_ended(self, ends: JobEnds, record: Record) -> None:
        """Run the job to its end or until somebody else ends it; not at all where somebody has."""
        job_id = self._command.job_id
        if await until_available(lambda: ends.has_ended(job_id, record)):
            await self._stop("has ended before it was launched")
            return
        running = asyncio.create_task(self._run())
        watching = asyncio.create_task(until_available(lambda: ends.until_ended(job_id, record)))
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() or self._told_its_end:
                await running
            else:
                await watching
                await _cancelled(running)
                await self._stop("was ended by somebody else")
        finally:
            await _cancelled(running)
            await _cancelled(watching)

    async def _run(self) -> None:
        fix = self._command.fix()
        log.info("launching", backend=self._backend.name, job=fix.job_id, cluster=fix.cluster_id)
        try:
            async with aclosing(self._backend.launch(fix)) as steps:
                async for progress in steps:
                    await self._tell(progress)
            if not self._told_its_end:
                raise RuntimeError("it came to its end without a success or a failure")
        except Exception as error:
            log.exception("a launch failed", backend=self._backend.name, job=fix.job_id)
            said = Progress("failed", f"{self._backend.name}: {error!r}", error=str(error) or repr(error))
            await self._tell(said)

    async def _stop(self, why: str) -> None:
        fix: Fix = self._command.fix()
        log.info("a job is stopped", backend=self._backend.name, job=fix.job_id, why=why)
        try:
            await until_available(lambda: self._backend.stop(fix))
        except Exception as error:
            log.exception("a job could not be stopped", backend=self._backend.name, job=fix.job_id)
            await self._tell(Progress("failed", f"{self._backend.name}: it could not be stopped: {error!r}"))

    async def _tell(self, progress: Progress) -> None:
        self._seq += 1
        self._told_its_end = progress.status in {"success", "failed"}
        event = JobEvent(
            job_id=self._command.job_id,
            project_id=self._command.project_id,
            cluster_id=self._command.cluster_id,
            seq=self._seq,
            status=progress.status,
            at=self._clock(),
            log=progress.log,
            pr_url=progress.pr_url,
            error=progress.error,
        )
        message = Outgoing(JOB_EVENTS.name, self._command.project_id.encode(), event.to_bytes())
        await until_available(lambda: self._publisher.publish([message]))


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is over; what it raised is told where it is awaited."""
    task.cancel()
    await asyncio.wait({task})
