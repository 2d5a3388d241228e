"""The topics of a launcher in memory: what it reads, publishes and commits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.lifecycle import Job, JobState, JobStep, advance, start
from soulcaster.errors import Unavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.wire.jobs import FixCommand, JobEvent
from tests.support.kill_points import KillPoints
from tests.support.make import NOW

PARTITION = 3

CANCELLED = "cancelled by kim"


class Log:
    """job.events of one partition, fix.commands, dead letters and commits, as Kafka keeps them."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.dead_letters: list[Outgoing] = []
        self.commands: list[Record] = []
        self.committed = 0
        self.down = False
        self._jobs: dict[str, Job] = {}

    async def append(self, event: JobEvent) -> None:
        if self.down:
            raise Unavailable
        self._keep(event)

    def _keep(self, event: JobEvent) -> None:
        step = event.step(len(self.events))
        known = self._jobs.get(event.job_id)
        self._jobs[event.job_id] = start(step) if known is None else advance(known, step)
        self.events.append(event)

    async def step(self, job: Job, state: JobState, *, token: int | None = None, **fields: object) -> None:
        """Append what somebody other than the launcher reports."""
        step = JobStep(f"x{len(self.events)}", job.id, "p1", "c1", 1, state, NOW, token=token, **fields)  # type: ignore[arg-type]
        await self.append(JobEvent.of(step))

    async def cancel(self, job_id: str = "j1") -> None:
        """Cancel a job, as a person does."""
        await self.step(self.job(job_id), "cancelled", error=CANCELLED)

    def order(
        self,
        job_id: str = "j1",
        *,
        project: str = "p1",
        backend: str = "memory",
        seconds: int = 60,
        budget: float = 0,
    ) -> None:
        """Order a job, as the clusterer does."""
        fix = Fix(
            job_id,
            "c1",
            "Late card",
            "kim",
            NOW,
            options=FixOptions(backend=backend, seconds=seconds, budget_usd=budget),
        )
        step = JobStep(f"first {job_id}", job_id, project, "c1", 0, "approved", NOW, fix=fix)
        self._keep(JobEvent.of(step))
        value, key = FixCommand.of(project, fix).to_bytes(), project.encode()
        self.commands.append(Record("fix.commands", PARTITION, len(self.commands), 1_700_000_000_000, key, value))

    def job(self, job_id: str = "j1") -> Job:
        """Return the job that the log makes."""
        return self._jobs[job_id]

    async def commit(self, record: Record) -> None:
        """Commit a record and all before it."""
        self.committed = max(self.committed, record.offset + 1)


class LogPublisher:
    """Publishes what one launcher, or a program inside of it, has to say; each message is a point."""

    def __init__(self, log: Log, points: KillPoints, who: str = "") -> None:
        self._log = log
        self._points = points
        self._who = who

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            if message.topic == "job.events":
                event = JobEvent.model_validate_json(message.value)
                await self._points.call(self._label(event), lambda event=event: self._log.append(event))  # type: ignore[misc]
            else:
                await self._points.call("dead letter", lambda message=message: self._dead(message))  # type: ignore[misc]

    def _label(self, event: JobEvent) -> str:
        if event.launch is not None:
            return f"claim of {event.launch}"
        what = f"report {event.seq}" if self._who else f"{event.state} step"
        return f"{self._who}{what} of {self._log.job(event.job_id).launch}"

    async def _dead(self, message: Outgoing) -> None:
        self._log.dead_letters.append(message)


class LogWatch:
    """Fulfils JobWatch. A launcher's time passes by `turn_seconds`."""

    def __init__(self, log: Log, job_id: str, turn_seconds: float) -> None:
        self._log = log
        self._job_id = job_id
        self._turn_seconds = turn_seconds
        self.heard_at: datetime | None = None

    @property
    def job(self) -> Job | None:
        return self._log.job(self._job_id)

    async def changed(self, since: Job | None, seconds: float) -> None:
        for _ in range(5):
            if self.job != since:
                return
            await asyncio.sleep(self._turn_seconds)

    async def caught_up(self) -> None:
        if self._log.down:
            raise Unavailable


class LogFeed:
    """Fulfils JobFeed."""

    def __init__(self, log: Log, points: KillPoints, turn_seconds: float) -> None:
        self._log = log
        self._points = points
        self._turn_seconds = turn_seconds

    @asynccontextmanager
    async def watch(self, job_id: str, asked: Record) -> AsyncIterator[LogWatch]:
        yield await self._points.call("watch", lambda: self._open(job_id))

    async def _open(self, job_id: str) -> LogWatch:
        if self._log.down:
            raise Unavailable
        return LogWatch(self._log, job_id, self._turn_seconds)
