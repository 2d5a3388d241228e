"""A vendor in memory: nothing of it takes time, and it can refuse and be away."""

from collections import Counter

from soulcaster.errors import Unavailable
from soulcaster.ports.launch_backend import Launch, LaunchBackend, LaunchRefused, Task
from tests.support.kill_points import KillPoints
from tests.support.programs import Reports


class MemoryVendor:
    """Fulfils Vendor. Like ECS it does not remember that a launch was stopped before it began."""

    name = "memory"
    turn_seconds = 0.0
    plays = True

    def __init__(self) -> None:
        self.starts: Counter[str] = Counter()
        self.refuse: list[LaunchRefused] = []
        self.down = False
        self._ends: dict[str, str | None] = {}
        """Why each program ended; None while it runs."""

    def backend(self, points: KillPoints, reports: Reports) -> LaunchBackend:
        return self

    async def launch(self, launch: Launch) -> Task:
        self._answer()
        if self.refuse:
            raise self.refuse.pop(0)
        if launch.key not in self._ends:
            self.starts[launch.key] += 1
            self._ends[launch.key] = None
        return await self.observe(launch)

    async def observe(self, launch: Launch) -> Task:
        self._answer()
        if launch.key not in self._ends:
            return Task("", "gone")
        end = self._ends[launch.key]
        return Task(f"task {launch.key}", "running" if end is None else "ended", end or "")

    async def stop(self, launch: Launch) -> None:
        self._answer()
        if launch.key in self._ends:
            self._ends[launch.key] = self._ends[launch.key] or "it was stopped"

    async def close(self) -> None:
        """Do nothing: the vendor outlives its launchers."""

    async def started(self, launch: Launch) -> int:
        return self.starts[launch.key]

    async def alive(self, launch: Launch) -> int:
        return int(launch.key in self._ends and self._ends[launch.key] is None)

    async def finish(self, launch: Launch, code: int) -> None:
        self._ends[launch.key] = f"exit code {code}"

    async def launch_unheard(self, launch: Launch) -> None:
        await self.launch(launch)

    def _answer(self) -> None:
        if self.down:
            raise Unavailable
