"""A launch backend in memory, for the suite itself until others are there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from soulcaster.errors import Unavailable
from soulcaster.ports.launch_backend import Launch, LaunchBackend, Task
from tests.support.launch_backends import PRINTS, Harness, Lack


class Memory:
    """Fulfils LaunchBackend and Harness: the vendor is a dictionary."""

    name = "memory"
    lacks: frozenset[Lack] = frozenset()
    base_variables: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._started: Counter[str] = Counter()
        self._away = False

    def backend(self) -> LaunchBackend:
        return self

    async def launch(self, launch: Launch) -> Task:
        await self._answer()
        if launch.key not in self._tasks:
            self._started[launch.key] += 1
            self._tasks[launch.key] = Task(f"memory of {launch.key}", "running")
        return self._tasks[launch.key]

    async def observe(self, launch: Launch) -> Task:
        await self._answer()
        return self._tasks.get(launch.key, Task(launch.key, "gone"))

    async def stop(self, launch: Launch) -> None:
        await self._answer()
        task = self._tasks.get(launch.key, Task(launch.key, "running"))
        if task.state != "ended":
            self._tasks[launch.key] = replace(task, state="ended", reason="stopped")

    async def close(self) -> None:
        pass

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self._away:
            raise Unavailable

    async def launch_unheard(self, launch: Launch) -> None:
        await self.launch(launch)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self._away = True
        yield
        self._away = False

    async def started(self, launch: Launch) -> int:
        return self._started[launch.key]

    async def alive(self, launch: Launch) -> int:
        return int(launch.key in self._tasks and self._tasks[launch.key].state == "running")

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        return launch.environment()

    async def finish(self, launch: Launch, code: int) -> None:
        self._tasks[launch.key] = replace(
            self._tasks[launch.key], state="ended", reason=f"exit code {code}", output=PRINTS
        )


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Harness]:
    yield Memory()
