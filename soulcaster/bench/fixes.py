"""`soulcaster bench fixes`: from a click to a program that runs, and from a cancel to no process.

One job after the other, on the launch backend `local`, through the program's own processes: the web server takes the
click, the worker decides, the launcher starts the program of a job, which reports to the web server. Each job is
cancelled as soon as its program has reported that it runs. A first job, which is not measured, warms everything up.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import psutil

from soulcaster.bench.clicks import Clicks, settings_of_jobs
from soulcaster.bench.programs import LAUNCHER, WEB, WORKER, Program, wait_until
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.domain.lifecycle import active
from soulcaster.errors import SoulcasterError
from soulcaster.launcher.backends.local import bubblewrap
from soulcaster.launcher.backends.local.folder import JobFolder
from soulcaster.ports.read_model import ReadModel
from soulcaster.processes.connections import open_read_model

HERE = {"project_id": "bench-fixes"}
LOOK_SECONDS = 0.01
"""How often processes and the read model are looked at."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Some times of a kind, in seconds."""

    p50_s: float
    p95_s: float
    max_s: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Spread":
        """Return the spread of some times."""
        p50, p95 = np.percentile(times, [50, 95])
        return cls(round(float(p50), 2), round(float(p95), 2), round(max(times), 2))


@dataclass(frozen=True, slots=True)
class FixFigures:
    """All figures. `isolated` says whether the programs ran in bubblewrap.

    A click counts from when its request is sent. A program is started when its supervisor has recorded that, and it
    reports when the read model shows its job as running. A cancel counts from when its request is sent until no
    process of the job is left, its supervisor included.
    """

    jobs: int
    isolated: bool
    click_to_answer: Spread
    click_to_started: Spread
    click_to_reported: Spread
    answer_to_started: Spread
    answer_to_reported: Spread
    cancel_to_gone: Spread


@dataclass(frozen=True, slots=True)
class _Times:
    """When things happened to one job, in seconds of `time.perf_counter`."""

    clicked: float
    answered: float
    started: float
    reported: float
    cancelled: float
    gone: float


async def measure(jobs: int, report: Callable[[int], None]) -> FixFigures:
    """Return the figures of that many jobs; `report` gets how many are done."""
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        async with Stack(Path(folder)) as stack, AsyncExitStack() as programs:
            await stack.provision()
            port = free_port()
            folder_of_jobs = Path(folder) / "jobs"
            variables = _variables(port, folder_of_jobs)
            read_model = await programs.enter_async_context(open_read_model(stack.settings))
            for process in (WORKER, WEB, LAUNCHER):
                await programs.enter_async_context(Program(process, stack.settings, **variables))
            http = await programs.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
            person = Clicks(http, HERE)
            bench = _Bench(person, read_model, folder_of_jobs)
            cluster_id = await person.make_cluster("The export is broken")
            times = []
            for done in range(jobs + 1):
                times.append(await bench.run_job(cluster_id))
                report(done)
    return _figures(times[1:])


def _variables(port: int, jobs: Path) -> dict[str, str]:
    """Return the settings of all processes: no limit stops a job, and it runs without bubblewrap, too."""
    return {
        **settings_of_jobs(port, jobs),
        "SOULCASTER_LOCAL_WITHOUT_ISOLATION": "true",
        "SOULCASTER_JOB_USD": "0",
    }


def _figures(times: Sequence[_Times]) -> FixFigures:
    return FixFigures(
        jobs=len(times),
        isolated=any(bubblewrap.failure(program) is None for program in bubblewrap.candidates()),
        click_to_answer=Spread.of([t.answered - t.clicked for t in times]),
        click_to_started=Spread.of([t.started - t.clicked for t in times]),
        click_to_reported=Spread.of([t.reported - t.clicked for t in times]),
        answer_to_started=Spread.of([t.started - t.answered for t in times]),
        answer_to_reported=Spread.of([t.reported - t.answered for t in times]),
        cancel_to_gone=Spread.of([t.gone - t.cancelled for t in times]),
    )


class _Bench:
    """Clicks, watches and cancels."""

    def __init__(self, person: Clicks, read_model: ReadModel, jobs: Path) -> None:
        self._person = person
        self._read_model = read_model
        self._jobs = jobs

    async def run_job(self, cluster_id: str) -> _Times:
        """Start a job by a click, cancel it once its program has reported, and return when what happened."""
        clicked = time.perf_counter()
        job_id = await self._person.start_fix(cluster_id)
        answered = time.perf_counter()
        folder = JobFolder(self._jobs / f"{job_id}-1")
        started, reported = await asyncio.gather(self._when(lambda: _runs(folder)), self._when_reported(job_id))
        left = _processes(job_id, folder)
        cancelled = time.perf_counter()
        await self._person.cancel(job_id)
        gone = await self._when(lambda: not any(map(_lives, left)))
        if again := _processes(job_id, folder):
            raise SoulcasterError(f"processes of a cancelled job are left: {again}")

        async def ended() -> bool:
            job = await self._read_model.jobs.get(job_id)
            return job is not None and not active(job)

        await wait_until(ended)
        return _Times(clicked, answered, started, reported, cancelled, gone)

    async def _when_reported(self, job_id: str) -> float:
        async def reported() -> bool:
            job = await self._read_model.jobs.get(job_id)
            return job is not None and job.state == "running"

        await wait_until(reported, LOOK_SECONDS)
        return time.perf_counter()

    async def _when(self, happened: Callable[[], bool]) -> float:
        async def done() -> bool:
            return happened()

        await wait_until(done, LOOK_SECONDS)
        return time.perf_counter()


def _runs(folder: JobFolder) -> bool:
    start = folder.start()
    return start is not None and start.running


def _processes(job_id: str, folder: JobFolder) -> list[psutil.Process]:
    """Return the processes of a job: its supervisor, and what has its variables or names its folder."""
    start = folder.start()
    found = []
    for process in psutil.process_iter():
        try:
            about = [process.environ().get("JOB_ID", ""), *process.cmdline()]
        except psutil.Error:
            about = []
        if any(job_id in text for text in about) or (start is not None and process.pid == start.pid):
            found.append(process)
    return [process for process in found if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
