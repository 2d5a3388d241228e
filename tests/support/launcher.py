"""A launcher over a log in memory, on any vendor; it can be killed between any two steps of its way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from cryptography.fernet import Fernet

from soulcaster.domain.lifecycle import active
from soulcaster.launcher.job_run import Launching
from soulcaster.launcher.jobs import JobRuns
from soulcaster.ports.launch_backend import Launch
from soulcaster.ports.messaging import Record
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.program_reports import ProgramReports
from tests.support.kill_points import Killed, KillPoints
from tests.support.launch_backends import eventually
from tests.support.launcher_log import Log, LogFeed, LogPublisher
from tests.support.make import NOW
from tests.support.programs import ObservedBackend, Programs, Script, Vendor

KEY = Fernet.generate_key().decode()

WORKS = ("running", "publishing", "succeeded")


class Setting:
    """A log, a clock, and programs on a vendor, which outlive launchers."""

    def __init__(self, vendor: Vendor, *scripts: Script) -> None:
        """`scripts` are what the programs of the first, second, ... launch do; further launches do as the last one."""
        self.log = Log()
        self.seconds = 0.0
        self.lease_seconds = 1e9
        self.secrets: Sequence[str] = ()
        self.tokens = JobTokens(KEY, self.clock)
        self.programs = Programs(vendor, self.log, self.tokens, scripts or [WORKS])

    def clock(self) -> datetime:
        """Return a time that goes on by itself."""
        self.seconds += 0.01
        return NOW + timedelta(seconds=self.seconds)

    async def launcher(self, points: KillPoints | None = None) -> None:
        """Run a launcher, with a backend of its own, over the uncommitted commands until all their jobs have ended.

        Raises:
            Killed: it was killed on the way.
        """
        points = points or KillPoints()
        vendor = self.programs.vendor
        backend = ObservedBackend(vendor.backend(points, _Inside(self, points)), self.programs, self.log, points)
        launching = Launching(
            backends={vendor.name: backend},
            feed=LogFeed(self.log, points, vendor.turn_seconds),
            publisher=LogPublisher(self.log, points),
            tokens=self.tokens,
            clock=self.clock,
            api_url="http://127.0.0.1:8080",
            lease=timedelta(seconds=self.lease_seconds),
            first_retry_seconds=0.02,
            secrets=self.secrets,
        )
        runs = JobRuns(launching, lambda record: points.call("commit", lambda: self.log.commit(record)), at_once=4)
        try:
            await _until_killed(asyncio.create_task(runs.run(self._uncommitted())), points)
        finally:
            await backend.close()

    async def _uncommitted(self) -> AsyncIterator[Record]:
        for record in self.log.commands[self.log.committed :]:
            yield record

    async def check_ended(self, *job_ids: str) -> None:
        """Assert what holds once the launcher has nothing left to do, however often it was killed."""
        await eventually(self._nothing_runs)
        await self.programs.end()
        for job_id in job_ids or ("j1",):
            assert not active(self.log.job(job_id)), self.log.job(job_id)
        started = await self.programs.started()
        assert all(count <= 1 for count in started.values()), started
        assert self.log.committed == len(self.log.commands)

    async def _nothing_runs(self) -> bool:
        return await self.programs.alive() == 0


class _Inside:
    """Fulfils Reports: what a program that is part of a launcher has of it."""

    def __init__(self, setting: Setting, points: KillPoints) -> None:
        self._setting = setting
        publisher = LogPublisher(setting.log, points, "the program's ")
        self.reports = ProgramReports(publisher, setting.tokens, setting.clock)

    def begun(self, launch: Launch) -> int:
        fence = self._setting.tokens.read(launch.token).fence
        reported = {event.id for event in self._setting.log.events if event.token == fence and event.seq == 1}
        return len(reported)

    async def scripted(self, token: str, seq: int) -> None:
        job_id = self._setting.tokens.read(token).job_id
        script = self._setting.programs.script(self._setting.log.job(job_id).launch)
        step = script[seq - 1] if seq <= len(script) else ""
        if step == "exit":
            raise RuntimeError("the program crashes")
        if step == "cancel":
            await self._setting.log.cancel(job_id)


async def _until_killed(running: asyncio.Task[None], points: KillPoints) -> None:
    """Return when a launcher has nothing left to do; when it is killed, all that it does ends at once.

    Raises:
        Killed: it was killed.
    """
    dead = asyncio.Event()
    points.died = dead.set
    dying = asyncio.create_task(dead.wait())
    await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    if not points.is_dead:
        await running
        return
    running.cancel()
    await asyncio.wait({running})
    raise Killed(points.struck)
