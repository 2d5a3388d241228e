"""Runs a job for every command: to its end, with its steps on job.events, and only then commits the command.

A command delivered again after a crash runs again under the same job id, and steps that the job already has change
nothing. A job that has ended (a person cancelled it, or an agent reported its end) is not launched; one that ends
elsewhere while it runs is stopped. Ends are read from job.events, so a launcher that was killed finds them again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import structlog
from pydantic import ValidationError

from soulcaster.ports.clock import Clock
from soulcaster.ports.job_ends import JobEnds
from soulcaster.ports.launch import LaunchBackend, Progress
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.retrying import until_available
from soulcaster.wire.jobs import FixCommand, JobEvent
from soulcaster.wire.topics import JOB_EVENTS

log = structlog.get_logger(__name__)


async def run_jobs(
    records: AsyncIterator[Record],
    *,
    backend: LaunchBackend,
    publisher: Publisher,
    ends: JobEnds,
    clock: Clock,
    commit: Callable[[Record], Awaitable[None]],
) -> None:
    """Run a job for each record of fix.commands, one after the other.

    Raises:
        KafkaUnavailable: a dead letter could not be sent; the record is not committed.
    """
    async for record in records:
        try:
            command = FixCommand.model_validate_json(record.value or b"")
        except ValidationError as error:
            await send_dead_letters(publisher, [dead_letter(record, f"launcher: {error}")])
        else:
            await _JobRun(command, backend, publisher, clock).run(ends, record)
        await until_available(lambda record=record: commit(record))  # type: ignore[misc]


class _JobRun:
    """One run of a job, from its command to its end."""

    def __init__(self, command: FixCommand, backend: LaunchBackend, publisher: Publisher, clock: Clock) -> None:
        self._command = command
        self._fix = command.fix()
        self._backend = backend
        self._publisher = publisher
        self._clock = clock
        self._seq = 0
        self._ended = False
        """A step that ends the job was published, or is about to be."""

    async def run(self, ends: JobEnds, record: Record) -> None:
        """Launch the job, unless it has ended; return when it ends, here or elsewhere."""
        job_id = self._command.job_id
        if await until_available(lambda: ends.has_ended(job_id, record)):
            await self._stop("it ended before it was launched")
            return
        running = asyncio.create_task(self._launch())
        watching = asyncio.create_task(until_available(lambda: ends.until_ended(job_id, record)))
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() or self._ended:
                await running
            else:
                await watching
                await _cancel(running)
                await self._stop("it was ended elsewhere")
        finally:
            await _cancel(running)
            await _cancel(watching)

    async def _launch(self) -> None:
        fix = self._fix
        log.info("launching", backend=self._backend.name, job=fix.job_id, cluster=fix.cluster_id)
        try:
            async with aclosing(self._backend.launch(fix)) as steps:
                async for progress in steps:
                    await self._report(progress)
            if not self._ended:
                raise RuntimeError("the backend ended without reporting success or failure")
        except Exception as error:
            log.exception("a launch failed", backend=self._backend.name, job=fix.job_id)
            reason = str(error) or repr(error)
            await self._report(Progress("failed", f"{self._backend.name}: {error!r}", error=reason))

    async def _stop(self, why: str) -> None:
        """Stop the job wherever it runs; a launcher that was killed may have launched it."""
        log.info("stopping a job", backend=self._backend.name, job=self._fix.job_id, why=why)
        try:
            await until_available(lambda: self._backend.stop(self._fix))
        except Exception as error:
            log.exception("a job could not be stopped", backend=self._backend.name, job=self._fix.job_id)
            await self._report(Progress("failed", f"{self._backend.name}: it could not be stopped: {error!r}"))

    async def _report(self, progress: Progress) -> None:
        self._seq += 1
        self._ended = progress.status in {"success", "failed"}
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


async def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended; an exception it raised is raised where the task is awaited."""
    task.cancel()
    await asyncio.wait({task})
