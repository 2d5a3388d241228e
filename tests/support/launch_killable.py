"""The vendors behind every launch backend, for launchers that are killed: their calls to a vendor are points.

A program of a vendor is played by the test (`tests.support.programs`); that of `dry-run` is part of the launcher.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from connectrpc.errors import ConnectError

from soulcaster.domain.lifecycle import JobState
from soulcaster.launcher.backends.dry_run import DryRun
from soulcaster.ports.launch_backend import Launch, LaunchBackend
from tests.support.kill_points import KillPoints
from tests.support.launch_backends import Harness
from tests.support.launch_in_e2b import e2b_harness
from tests.support.launch_in_ecs import in_ecs
from tests.support.launch_in_memory import MemoryVendor
from tests.support.launch_local import local
from tests.support.programs import Reports, Vendor


class HarnessVendor:
    """Fulfils Vendor by the harness of a backend."""

    turn_seconds = 0.002
    plays = True

    def __init__(self, name: str, harness: Harness, backend: Callable[[KillPoints], LaunchBackend]) -> None:
        self.name = name
        self._backend = backend
        self.started = harness.started
        self.alive = harness.alive
        self.finish = harness.finish
        self.launch_unheard = harness.launch_unheard

    def backend(self, points: KillPoints, reports: Reports) -> LaunchBackend:
        return self._backend(points)


class DryRunVendor:
    """Fulfils Vendor. A launch has begun when it reports; a report that a second launcher repeats is the same one."""

    name = "dry-run"
    turn_seconds = 0.0
    plays = False

    def __init__(self) -> None:
        self._backends: list[DryRun] = []
        self._reports: dict[str, Reports] = {}
        """What programs report to, by their token."""

    def backend(self, points: KillPoints, reports: Reports) -> LaunchBackend:
        async def report(token: str, seq: int, state: JobState, log: str) -> None:
            self._reports[token] = reports
            await reports.scripted(token, seq)
            await reports.reports.report(token, seq, state, log)

        backend = DryRun(report, step_seconds=0)
        self._backends.append(backend)
        return backend

    async def started(self, launch: Launch) -> int:
        return self._reports[launch.token].begun(launch) if launch.token in self._reports else 0

    async def alive(self, launch: Launch) -> int:
        tasks = [backend.task(launch) for backend in self._backends]
        return sum(task is not None and not task.done() for task in tasks)

    async def finish(self, launch: Launch, code: int) -> None:
        raise NotImplementedError("it ends by itself")

    async def launch_unheard(self, launch: Launch) -> None:
        raise NotImplementedError("there is no vendor")


@asynccontextmanager
async def _memory(folder: Path) -> AsyncIterator[Vendor]:
    yield MemoryVendor()


@asynccontextmanager
async def _dry_run(folder: Path) -> AsyncIterator[Vendor]:
    yield DryRunVendor()


@asynccontextmanager
async def _ecs(folder: Path) -> AsyncIterator[Vendor]:
    async with in_ecs(folder) as harness:
        yield HarnessVendor("ecs", harness, lambda points: harness.backend_over(points.around(harness.client)))


@asynccontextmanager
async def _e2b(folder: Path) -> AsyncIterator[Vendor]:
    async with e2b_harness(folder) as harness, _calls_that_break_off():
        yield HarnessVendor("e2b", harness, lambda points: harness.backend_over(points.around(harness.server.client())))


@asynccontextmanager
async def _calls_that_break_off() -> AsyncIterator[None]:
    """Say nothing of calls to E2B that a killed launcher breaks off; the SDK leaves their ends to nobody."""
    loop = asyncio.get_running_loop()

    def told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), ConnectError):
            loop.default_exception_handler(context)

    loop.set_exception_handler(told)
    try:
        yield
    finally:
        gc.collect()
        loop.set_exception_handler(None)


@asynccontextmanager
async def _local(folder: Path) -> AsyncIterator[Vendor]:
    async with local(folder) as harness:
        yield HarnessVendor("local", harness, lambda _: harness.backend())


VENDORS: dict[str, Callable[[Path], AbstractAsyncContextManager[Vendor]]] = {
    "memory": _memory,
    "dry-run": _dry_run,
    "ecs": _ecs,
    "e2b": _e2b,
    "local": _local,
}
"""Each gets a folder of its own."""
