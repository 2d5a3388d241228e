"""A launcher over a log in memory and a vendor in memory, that can be killed between any two steps of its way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography.fernet import Fernet

from soulcaster.domain.fixes.fix import Fix, FixOptions
from soulcaster.domain.lifecycle import Job, JobState, JobStep, active, advance, start
from soulcaster.errors import Unavailable
from soulcaster.launcher.job_run import Launching
from soulcaster.launcher.jobs import JobRuns
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.job_tokens import JobTokens
from soulcaster.wire.jobs import FixCommand, JobEvent
from tests.support.make import NOW

T = TypeVar("T")

KEY = Fernet.generate_key().decode()
PARTITION = 3


class Killed(BaseException):
    """The process is gone."""


class KillPoints:
    """Counts the points at which a launcher can be killed, and kills at one of them.

    A point is before and after each call that leaves the process. `at` is the number of the point, `None` never kills.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed: list[str] = []

    async def call(self, label: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work that leaves the process, unless the process is killed before or after it."""
        self._point(f"before {label}")
        result = await work()
        self._point(f"after {label}")
        return result

    def _point(self, label: str) -> None:
        self.passed.append(label)
        if self.at is not None and len(self.passed) > self.at:
            raise Killed(label)


class Log:
    """job.events of one partition, fix.commands, dead letters and commits, as Kafka keeps them."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.dead_letters: list[Outgoing] = []
        self.commands: list[Record] = []
        self.committed = 0
        self.moved = asyncio.Condition()
        self.down = False

    async def append(self, event: JobEvent) -> None:
        if self.down:
            raise Unavailable
        async with self.moved:
            self.events.append(event)
            self.moved.notify_all()

    async def step(self, job: Job, state: JobState, *, token: int | None = None, **fields: object) -> None:
        """Append what somebody other than the launcher reports."""
        step = JobStep(f"x{len(self.events)}", job.id, "p1", "c1", 1, state, NOW, token=token, **fields)  # type: ignore[arg-type]
        await self.append(JobEvent.of(step))

    def order(self, job_id: str = "j1", *, backend: str = "memory", seconds: int = 60) -> None:
        """Order a job, as the clusterer does."""
        fix = Fix(job_id, "c1", "Late card", "kim", NOW, options=FixOptions(backend=backend, seconds=seconds))
        step = JobStep(f"first {job_id}", job_id, "p1", "c1", 0, "approved", NOW, fix=fix)
        self.events.append(JobEvent.of(step))
        value = FixCommand.of("p1", fix).to_bytes()
        self.commands.append(Record("fix.commands", PARTITION, len(self.commands), 1_700_000_000_000, b"p1", value))

    def job(self, job_id: str = "j1") -> Job:
        """Return the job that the log makes."""
        found: Job | None = None
        for offset, event in enumerate(self.events):
            if event.job_id == job_id:
                found = start(event.step(offset)) if found is None else advance(found, event.step(offset))
        assert found is not None
        return found


class Vendor:
    """A backend in memory, and the programs it runs: `script` is what each launch of a program does, in turn.

    A script is a list of states to report, then "exit" (the program ends without a result) or nothing (it goes on
    until it is stopped).
    """

    name = "memory"

    def __init__(self, log: Log, *scripts: Sequence[str]) -> None:
        self._log = log
        self._scripts = list(scripts)
        self.starts: Counter[str] = Counter()
        self.running: dict[str, asyncio.Task[None]] = {}
        self.refuse: list[LaunchRefused] = []
        self.down = False

    async def launch(self, launch: Launch) -> Task:
        if self.down:
            raise Unavailable
        if self.refuse:
            raise self.refuse.pop(0)
        if launch.key not in self.running:
            self.starts[launch.key] += 1
            script = self._scripts[min(launch.number, len(self._scripts)) - 1]
            self.running[launch.key] = asyncio.create_task(self._program(launch, script))
        return Task(f"task {launch.key}", "running")

    async def observe(self, launch: Launch) -> Task:
        if self.down:
            raise Unavailable
        task = self.running.get(launch.key)
        if task is None:
            return Task("", "gone")
        ended = task.done()
        return Task(f"task {launch.key}", "ended" if ended else "running", "exit code 1" if ended else "")

    async def stop(self, launch: Launch) -> None:
        if self.down:
            raise Unavailable
        task = self.running.get(launch.key)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        for task in self.running.values():
            task.cancel()

    def alive(self) -> int:
        """Return how many programs run."""
        return sum(not task.done() for task in self.running.values())

    async def _program(self, launch: Launch, script: Sequence[str]) -> None:
        claims = JobTokens(KEY, lambda: NOW).read(launch.token)
        for state in script:
            await asyncio.sleep(0)
            if state == "exit":
                return
            await self._log.step(self._log.job(launch.job_id), state, token=claims.fence)  # type: ignore[arg-type]
        if not script or script[-1] not in {"succeeded", "failed"}:
            await asyncio.Event().wait()


class _Backend:
    """The vendor as one launcher reaches it."""

    def __init__(self, vendor: Vendor, points: KillPoints) -> None:
        self.name = vendor.name
        self._vendor = vendor
        self._points = points

    async def launch(self, launch: Launch) -> Task:
        return await self._points.call("launch", lambda: self._vendor.launch(launch))

    async def observe(self, launch: Launch) -> Task:
        return await self._points.call("observe", lambda: self._vendor.observe(launch))

    async def stop(self, launch: Launch) -> None:
        await self._points.call("stop", lambda: self._vendor.stop(launch))

    async def close(self) -> None:
        """Do nothing: the vendor outlives its launchers."""


class _Publisher:
    def __init__(self, log: Log, points: KillPoints) -> None:
        self._log = log
        self._points = points

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            if message.topic == "job.events":
                event = JobEvent.model_validate_json(message.value)
                label = f"{event.state} step"
                await self._points.call(label, lambda event=event: self._log.append(event))  # type: ignore[misc]
            else:
                await self._points.call("dead letter", lambda message=message: self._dead(message))  # type: ignore[misc]

    async def _dead(self, message: Outgoing) -> None:
        self._log.dead_letters.append(message)


class _Watch:
    def __init__(self, log: Log, job_id: str) -> None:
        self._log = log
        self._job_id = job_id
        self.heard_at: datetime | None = None

    @property
    def job(self) -> Job | None:
        return self._log.job(self._job_id)

    async def changed(self, since: Job | None, seconds: float) -> None:
        for _ in range(5):  # the time of these tests passes by turns of the loop
            if self.job != since:
                return
            await asyncio.sleep(0)

    async def caught_up(self) -> None:
        if self._log.down:
            raise Unavailable


class _Feed:
    def __init__(self, log: Log, points: KillPoints) -> None:
        self._log = log
        self._points = points

    @asynccontextmanager
    async def watch(self, job_id: str, asked: Record) -> AsyncIterator[_Watch]:
        yield await self._points.call("watch", lambda: self._open(job_id))

    async def _open(self, job_id: str) -> _Watch:
        if self._log.down:
            raise Unavailable
        return _Watch(self._log, job_id)


@dataclass
class Setting:
    """A log, a vendor and a clock, which outlive launchers."""

    log: Log = field(default_factory=Log)
    seconds: float = 0.0
    lease_seconds: float = 1e9
    secrets: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.vendor = Vendor(self.log, ["running", "publishing", "succeeded"])

    def clock(self) -> datetime:
        """Return a time that goes on by itself."""
        self.seconds += 0.01
        return NOW + timedelta(seconds=self.seconds)

    async def launcher(self, points: KillPoints | None = None) -> None:
        """Run a launcher over the uncommitted commands until all their jobs have ended.

        Raises:
            Killed: it was killed on the way.
        """
        points = points or KillPoints()
        launching = Launching(
            backends={"memory": _Backend(self.vendor, points)},
            feed=_Feed(self.log, points),
            publisher=_Publisher(self.log, points),
            tokens=JobTokens(KEY, self.clock),
            clock=self.clock,
            api_url="http://127.0.0.1:8080",
            lease=timedelta(seconds=self.lease_seconds),
            first_retry_seconds=0.02,
            secrets=self.secrets,
        )
        runs = JobRuns(launching, lambda record: points.call("commit", lambda: self._commit(record)), at_once=4)

        async def records() -> AsyncIterator[Record]:
            for record in self.log.commands[self.log.committed :]:
                yield record

        try:
            await runs.run(records())
        except* Killed as killed:
            raise Killed(str(killed.exceptions[0])) from None

    async def _commit(self, record: Record) -> None:
        self.log.committed = max(self.log.committed, record.offset + 1)

    def check_ended(self, *job_ids: str) -> None:
        """Assert what holds once the launcher has nothing left to do, however often it was killed."""
        for job_id in job_ids or ("j1",):
            assert not active(self.log.job(job_id)), self.log.job(job_id)
        assert all(count == 1 for count in self.vendor.starts.values()), self.vendor.starts
        assert self.vendor.alive() == 0
        assert self.log.committed == len(self.log.commands)
        assert replace(self.log.job()) == self.log.job()
