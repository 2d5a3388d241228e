"""One job, from its command to its end: claimed, launched, watched, launched again or given up, and cleaned up after.

The run keeps nothing: what to do next follows from the job's log on Kafka and from what the backend sees. So a launcher
that was killed anywhere, or that shares a job with another one during a rebalance, goes on where the log is:

1. Claim a launch on job.events. Of several claims the first in the log counts; its offset is the fencing token.
2. Have the backend start the launch. The key is the job and the launch's number, so a second call starts nothing.
3. Publish the backend's name of it.
4. Watch the log, the backend and the clock. A launch that ends without having ended its job has failed.
5. After a failure, stop what is left and publish that the job waits for a retry, or, after `MAX_LAUNCHES`, send a dead
   letter and publish that the job is dead.
6. Once the job has ended, whoever ended it, stop what runs of it.
7. Archive its log. Then its command is committed.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from soulcaster.domain.fixes.redaction import Redactor, secret_forms
from soulcaster.domain.ids import step_id_for
from soulcaster.domain.lifecycle import MAX_LAUNCHES, Job, JobState, active, waits_for_launch
from soulcaster.errors import Unavailable
from soulcaster.launcher.cancelling import cancelled
from soulcaster.launcher.meter import Meter
from soulcaster.ports.clock import Clock
from soulcaster.ports.job_feed import JobFeed, JobWatch
from soulcaster.ports.launch_backend import Launch, LaunchBackend, LaunchRefused, Task
from soulcaster.ports.messaging import Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.job_steps import JobSteps
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.log_archive import LogArchiver
from soulcaster.services.retrying import until_available
from soulcaster.wire.jobs import FixCommand

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How often the backend is asked about a launch that runs."""

GRACE = timedelta(seconds=30)
"""How long a program may run on after its time limit, which the backend applies first where it can."""

OVERSPENT = 2.0
"""How many times its budget a job may spend before its launch is ended for good."""

FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Launching:
    """What every run needs.

    `api_url` is the address at which programs reach the HTTP API. `lease` is how long a program may be silent before
    its launch is taken for lost. `archiver` keeps the whole logs of jobs that have ended; None keeps none.
    `first_retry_seconds` is the longest wait before the second launch. `secrets` are values that no log may show.
    """

    backends: Mapping[str, LaunchBackend]
    feed: JobFeed
    publisher: Publisher
    tokens: JobTokens
    clock: Clock
    api_url: str
    lease: timedelta
    archiver: LogArchiver | None = None
    first_retry_seconds: float = FIRST_RETRY_SECONDS
    secrets: Collection[str] = field(default=(), repr=False)


class JobRun:
    """Runs the job of one record of fix.commands."""

    def __init__(self, command: FixCommand, asked: Record, launching: Launching) -> None:
        self._command = command
        self._asked = asked
        ordered_ms = int(command.requested_at.timestamp() * 1000)
        self._since = replace(asked, timestamp_ms=min(asked.timestamp_ms, ordered_ms))
        """Where the job's log begins: an approval, or a crash of the worker, may send the command much later."""
        self._fix = command.fix()
        self._given = launching
        self._steps = JobSteps(launching.publisher, launching.clock)
        self._opened_at: datetime = launching.clock()
        self._job = self._ordered()
        backend = self._fix.options.backend
        self._meter = Meter(backend if backend in launching.backends else "other")

    async def run(self) -> None:
        """Return when the job has ended and nothing of it runs any more; waits while Kafka is unavailable."""
        with self._meter.followed():
            await until_available(self._follow)

    async def _follow(self) -> None:
        async with self._given.feed.watch(self._command.job_id, self._since) as watch:
            self._opened_at = self._given.clock()
            while active(job := watch.job or self._job):
                self._job = job
                self._meter.seen(job)
                if job.state == "queued":
                    await watch.changed(job, POLL_SECONDS)
                elif waits_for_launch(job):
                    await self._claim(watch, job)
                else:
                    await self._supervise(watch, job)
            self._meter.seen(job)
            await self._clean_up(job)
            await self._archive(watch, job)

    def _ordered(self) -> Job:
        """Return the job that the command alone describes; a launch can only begin once its log is read."""
        command = self._command
        return Job(
            command.job_id,
            command.project_id,
            command.cluster_id,
            "approved",
            0,
            command.requested_at,
            command.requested_at,
            fix=self._fix,
        )

    # ---- 1: claim ------------------------------------------------------------------------------------------------

    async def _claim(self, watch: JobWatch, job: Job) -> None:
        """Claim the next launch once it is due, unless the job changes before."""
        if job.launch >= MAX_LAUNCHES:
            await self._fail(watch, job, None, "it waits for another launch, but there are no more")
            return
        wait = (self._due(job) - self._given.clock()).total_seconds()
        if wait > 0:
            await watch.changed(job, min(wait, POLL_SECONDS))
            return
        number = job.launch + 1
        await self._publish(
            watch,
            job,
            "launching",
            key=f"claim {number}",
            launch=number,
            token=job.fence if job.launch else None,
            log=f"launch {number} of at most {MAX_LAUNCHES} on {self._fix.options.backend}",
        )

    def _due(self, job: Job) -> datetime:
        """Return when a job may be launched: at once the first time, after a failure with growing, jittered waits.

        The jitter follows from the job, so two launchers wait equally long.
        """
        if not job.launch:
            return job.updated_at
        longest = min(self._given.first_retry_seconds * 4 ** (job.launch - 1), LAST_RETRY_SECONDS)
        share = 0.5 + int(step_id_for(job.id, str(job.launch))[:8], 16) / 2**33
        return job.updated_at + timedelta(seconds=longest * share)

    # ---- 2 to 4: launch and watch --------------------------------------------------------------------------------

    async def _supervise(self, watch: JobWatch, job: Job) -> None:
        """Launch and watch the present launch; return when the job has changed hands, or has ended."""
        backend = self._given.backends.get(self._fix.options.backend)
        if backend is None:
            await self._fail(watch, job, None, f"no backend {self._fix.options.backend} is set up here", retry=False)
            return
        launch = self._launch_of(job)
        working = asyncio.create_task(self._launch_and_watch(watch, job, backend, launch))
        leaving = asyncio.create_task(self._until_left(watch, job))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not working.done() and leaving.exception() is None:
                # The launch may be on its way to the backend: stop what is there now, and again once it has arrived.
                await until_available(lambda: backend.stop(launch))
            await (working if working.done() else leaving)
        finally:
            await cancelled(working, leaving)

    async def _until_left(self, watch: JobWatch, job: Job) -> None:
        """Return once the job has ended or waits for another launch."""
        while (known := watch.job) is None or (active(known) and _of_launch(known, job)):
            await watch.changed(known, POLL_SECONDS)

    async def _launch_and_watch(self, watch: JobWatch, job: Job, backend: LaunchBackend, launch: Launch) -> None:
        if job.task is None:
            try:
                task = await until_available(lambda: backend.launch(launch))
            except LaunchRefused as error:
                await self._fail(watch, job, backend, str(error))
                return
            log.info("launched", backend=backend.name, job=job.id, launch=launch.number, task=task.id)
            await self._publish(watch, job, "launching", key=f"task {job.launch}", token=job.fence, task=task.id)
        while (failure := await self._failure(watch, job, backend, launch)) is None:
            await watch.changed(watch.job, POLL_SECONDS)
        await self._fail(watch, job, backend, failure, retry=not self._overspent(watch))

    async def _failure(self, watch: JobWatch, job: Job, backend: LaunchBackend, launch: Launch) -> str | None:
        """Return why the launch has failed, None while it has not."""
        now = self._given.clock()
        launched_at = job.launched_at or now
        if now > launched_at + timedelta(seconds=launch.seconds) + GRACE:
            return f"it ran longer than its time limit of {launch.seconds} s"
        heard_at = max(watch.heard_at or self._opened_at, self._opened_at)
        if now > heard_at + self._given.lease:
            return f"nothing was heard of it for {self._given.lease.total_seconds():.0f} s"
        if self._overspent(watch):
            return f"it spends much more than its budget of ${self._fix.options.budget_usd:.2f}"
        try:
            task = await backend.observe(launch)
        except Unavailable as error:
            log.warning("a backend does not answer", backend=backend.name, job=job.id, cause=str(error))
            return None
        if task.state not in {"ended", "gone"}:
            return None
        await watch.caught_up()  # what the program reported before it ended
        return _ended_how(task)

    def _overspent(self, watch: JobWatch) -> bool:
        """Return whether the program does not keep its budget; one that does passes it by one call at most."""
        budget, known = self._fix.options.budget_usd, watch.job
        return bool(budget) and known is not None and known.cost_usd > OVERSPENT * budget

    # ---- 5: failures ---------------------------------------------------------------------------------------------

    async def _fail(
        self, watch: JobWatch, job: Job, backend: LaunchBackend | None, reason: str, *, retry: bool = True
    ) -> None:
        """Stop what is left of a failed launch, then have the job wait for a retry, or give it up."""
        known = watch.job
        if known is not None and not (active(known) and _of_launch(known, job)):
            return
        if backend is not None:
            await until_available(lambda: backend.stop(self._launch_of(job)))
        reason = self._redacted(job, reason)
        failed = f"launch {job.launch} failed: {reason}"
        self._meter.launch_failed()
        # The first line only: what the program printed follows, and it may quote what people wrote.
        log.warning("a launch failed", job=job.id, launch=job.launch, reason=reason.partition("\n")[0])
        if retry and job.launch < MAX_LAUNCHES:
            await self._publish(
                watch, job, "approved", key=f"retry {job.launch}", token=job.fence, log=failed, error=reason
            )
            return
        await self._dead_letter(failed)
        await self._publish(watch, job, "dead", key=f"dead {job.launch}", token=job.fence, log=failed, error=reason)

    async def give_up(self, error: Exception) -> None:
        """End the job as dead after an error that no retry mends: stop its launch, and dead-letter its command."""
        job = self._job
        reason = repr(error)
        try:
            await self._clean_up(job)
        except Exception as second:
            log.exception("a launch cannot be stopped", job=job.id, launch=job.launch)
            reason += f"; its launch {job.launch} could not be stopped: {second!r}"
        reason = self._redacted(job, reason)
        await self._dead_letter(reason)
        step = self._steps.next(job, "dead", key="given up", log=f"given up: {reason}", error=reason)
        await until_available(lambda: self._steps.publish(step))
        self._meter.ended("dead", job.cost_usd)

    async def _dead_letter(self, reason: str) -> None:
        reason = f"launcher: job {self._command.job_id}: {reason}"
        await send_dead_letters(self._given.publisher, [dead_letter(self._asked, reason)], "job")

    # ---- 6: clean up ---------------------------------------------------------------------------------------------

    async def _clean_up(self, job: Job) -> None:
        """Stop what runs of a job that has ended."""
        backend = self._given.backends.get(self._fix.options.backend)
        if job.launch and backend is not None:
            await until_available(lambda: backend.stop(self._launch_of(job)))

    # ---- 7: archive ----------------------------------------------------------------------------------------------

    async def _archive(self, watch: JobWatch, job: Job) -> None:
        """Archive the log of a job that has ended, and publish where it is."""
        archiver = self._given.archiver
        if archiver is None or job.archive_url is not None:
            return
        url = await until_available(lambda: archiver.archive(job.project_id, job.id, self._since))
        await self._publish(watch, job, job.state, key="archive", archive_url=url)

    # ---- shared --------------------------------------------------------------------------------------------------

    def _launch_of(self, job: Job) -> Launch:
        token = self._given.tokens.issue(replace(job, fix=self._fix))
        return Launch(job.id, job.launch, token, self._given.api_url, self._fix.options.seconds)

    def _redacted(self, job: Job, reason: str) -> str:
        """Return why a launch failed as it may be shown: it may quote what the program printed."""
        token = [self._launch_of(job).token] if job.launch else []
        return Redactor(secret_forms([*self._given.secrets, *token])).redact(reason).rstrip("\n")

    async def _publish(self, watch: JobWatch, job: Job, state: JobState, *, key: str, **fields: Any) -> None:
        """Publish a step, and return once the log has been read up to it."""
        await self._steps.publish(self._steps.next(job, state, key=key, **fields))
        await watch.caught_up()


def _of_launch(known: Job, job: Job) -> bool:
    """Return whether a job is still in the launch that it was in."""
    return known.fence == job.fence and known.state != "approved"


def _ended_how(task: Task) -> str:
    if task.state == "gone":
        return "the backend knows nothing of it any more"
    how = f"its program ended without a result: {task.reason or 'for an unknown reason'}"
    return f"{how}\n{task.output}" if task.output else how
