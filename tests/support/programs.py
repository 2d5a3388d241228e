"""Programs of jobs, played by the test: what they report, and how they end, wherever a vendor runs them."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from soulcaster.ports.launch_backend import Launch, LaunchBackend, Task
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.program_reports import ProgramReports
from tests.support.kill_points import KillPoints
from tests.support.launcher_log import Log

Script = Sequence[str]
"""What a program does: states to report; "cancel", when a person cancels the job; "exit", when it ends by itself.

Without "exit" it goes on until it is stopped. It goes on to the next of these when a launcher has observed it in the
present state of its job, so that every launcher that is killed passes the same points.
"""


class Vendor(Protocol):
    """Where programs run. It outlives launchers, and serves several jobs."""

    name: str
    turn_seconds: float
    """How long a launcher and a program wait between two looks."""
    plays: bool
    """Whether the test plays the programs; False where the backend itself is the program."""

    def backend(self, points: KillPoints, reports: "Reports") -> LaunchBackend:
        """Return a new backend, as a launcher that was started again has it; its calls to the vendor are points."""

    async def started(self, launch: Launch) -> int:
        """Return how many programs were ever started for this launch."""

    async def alive(self, launch: Launch) -> int:
        """Return how many programs run for this launch now."""

    async def finish(self, launch: Launch, code: int) -> None:
        """Let the program end by itself with this exit code."""

    async def launch_unheard(self, launch: Launch) -> None:
        """Launch so that the program starts and nobody hears of it."""


class Reports(Protocol):
    """What a backend that is the program itself has of the launcher it is in."""

    reports: ProgramReports

    def begun(self, launch: Launch) -> int:
        """Return how many different first reports the log has of a launch."""

    async def scripted(self, token: str, seq: int) -> None:
        """Do what the script of this launch has as step `seq` besides a report: a cancel, or a crash."""


class Programs:
    """Plays the programs of one log's jobs, each launch once, by the scripts of the first, second, ... launch."""

    def __init__(self, vendor: Vendor, log: Log, tokens: JobTokens, scripts: Sequence[Script]) -> None:
        self.vendor = vendor
        self.launches: dict[str, Launch] = {}
        self.scripts = scripts
        self._log = log
        self._tokens = tokens
        self._observed: set[tuple[str, str]] = set()
        self._playing: dict[str, asyncio.Task[None]] = {}

    def begin(self, launch: Launch) -> None:
        """Note a launch, and play its program once it runs."""
        self.launches[launch.key] = launch
        if self.vendor.plays and launch.key not in self._playing:
            self._playing[launch.key] = asyncio.create_task(self._play(launch))

    def script(self, number: int) -> Script:
        """Return what the program of a launch does."""
        return self.scripts[min(number, len(self.scripts)) - 1]

    def observed(self, launch: Launch, state: str) -> None:
        """Note that a launcher has looked at the program while its job was in this state."""
        self._observed.add((launch.key, state))

    async def alive(self) -> int:
        """Return how many programs run."""
        return sum([await self.vendor.alive(launch) for launch in self.launches.values()])

    async def started(self) -> dict[str, int]:
        """Return how many programs were ever started, by the key of their launch."""
        return {key: await self.vendor.started(launch) for key, launch in self.launches.items()}

    async def end(self) -> None:
        """Play no more; raise what went wrong."""
        for playing in self._playing.values():
            playing.cancel()
        if self._playing:
            await asyncio.wait(self._playing.values())
        for playing in self._playing.values():
            if not playing.cancelled():
                playing.result()

    async def _play(self, launch: Launch) -> None:
        fence = self._tokens.read(launch.token).fence
        while not (await self.vendor.started(launch) and await self.vendor.alive(launch)):
            await asyncio.sleep(self.vendor.turn_seconds)
        for step in self.script(launch.number):
            while (launch.key, self._log.job(launch.job_id).state) not in self._observed:
                if not await self.vendor.alive(launch):
                    return
                await asyncio.sleep(self.vendor.turn_seconds)
            if step == "exit":
                await self.vendor.finish(launch, 1)
            elif step == "cancel":
                await self._log.cancel(launch.job_id)
            else:
                await self._log.step(self._log.job(launch.job_id), step, token=fence)  # type: ignore[arg-type]


class ObservedBackend:
    """A vendor's backend as one launcher reaches it: its calls are points, and programs know that they are observed."""

    def __init__(self, inner: LaunchBackend, programs: Programs, log: Log, points: KillPoints) -> None:
        self.name = inner.name
        self._inner = inner
        self._programs = programs
        self._log = log
        self._points = points

    async def launch(self, launch: Launch) -> Task:
        self._programs.begin(launch)
        return await self._points.call(f"launch {launch.number}", lambda: self._inner.launch(launch))

    async def observe(self, launch: Launch) -> Task:
        job = self._log.job(launch.job_id)
        # Whether a launcher looks once more at what has ended, or has failed, is chance.
        counts = job.launch == launch.number and job.state in {"launching", "running", "publishing"}
        label = f"observe {launch.number} while {job.state}"
        task = await self._points.call(label if counts else None, lambda: self._inner.observe(launch))
        self._programs.observed(launch, job.state)
        if counts and task.state in {"ended", "gone"} and self._log.job(launch.job_id).state == job.state:
            await self._points.point(f"seeing that {launch.number} is {task.state}")
        return task

    async def stop(self, launch: Launch) -> None:
        await self._points.call(f"stop {launch.number}", lambda: self._inner.stop(launch))

    async def close(self) -> None:
        await self._inner.close()
