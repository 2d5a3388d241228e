"""The harness of the backend `dry-run`: nothing runs but a task of this process, which only reports."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from soulcaster.domain.lifecycle import JobState
from soulcaster.launcher.backends.dry_run import DryRun
from soulcaster.ports.launch_backend import Launch, LaunchBackend
from tests.support.launch_backends import Harness, Lack


class DryRunHarness:
    """Harness whose backends share what they report to: a report that comes twice counts once."""

    lacks: frozenset[Lack] = frozenset({"program", "vendor", "output", "memory of stops"})
    base_variables: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._reports: set[tuple[str, int]] = set()
        self._backends: list[DryRun] = []
        self._finish = asyncio.Event()

    def backend(self) -> LaunchBackend:
        backend = DryRun(self._report)
        self._backends.append(backend)
        return backend

    async def _report(self, token: str, seq: int, state: JobState, log: str) -> None:
        self._reports.add((token, seq))
        await self._finish.wait()

    async def launch_unheard(self, launch: Launch) -> None:
        raise NotImplementedError("there is no vendor")

    def away(self) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError("there is no vendor")

    async def started(self, launch: Launch) -> int:
        return Counter(token for token, seq in self._reports if seq == 1)[launch.token]

    async def alive(self, launch: Launch) -> int:
        tasks = [backend.task(launch) for backend in self._backends]
        return sum(task is not None and not task.done() for task in tasks)

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        raise NotImplementedError("there is no program")

    async def finish(self, launch: Launch, code: int) -> None:
        self._finish.set()


@asynccontextmanager
async def dry_run(folder: Path) -> AsyncIterator[Harness]:
    """Give the harness; it needs no folder."""
    yield DryRunHarness()
