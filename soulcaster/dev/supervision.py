"""Keeping child processes running: one that dies is started again, after waits that grow."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from soulcaster.dev.child import Child
from soulcaster.dev.private_files import write_private
from soulcaster.errors import StackError

PROCESSES_FILE = "processes.json"
"""The file of the data directory that says what has died and was started again."""

FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0
"""The wait before a process is started again: the first one, and the longest."""

STABLE_SECONDS = 60.0
"""A process that has run for so long counts as well; what killed it before is forgotten."""


class Death(BaseModel):
    """A process that has died: how often in a row, when and how the last time, and whether it runs again."""

    model_config = ConfigDict(frozen=True)

    name: str
    deaths: int
    at: datetime
    how: str
    log: Path
    running: bool


class Deaths(BaseModel):
    """What has died since `soulcaster run` was started."""

    model_config = ConfigDict(frozen=True)

    deaths: tuple[Death, ...] = ()


def read_deaths(data_dir: Path) -> Sequence[Death]:
    """Return what has died of the `run` on a data directory."""
    path = data_dir / PROCESSES_FILE
    return Deaths.model_validate_json(path.read_text()).deaths if path.exists() else ()


def write_deaths(data_dir: Path, deaths: Sequence[Death]) -> None:
    """Keep what has died, for `read_deaths`."""
    write_private(data_dir / PROCESSES_FILE, Deaths(deaths=tuple(deaths)).model_dump_json())


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often processes are started again; `tries` is None where there is no end."""

    tries: int | None
    first_wait: float = FIRST_WAIT_SECONDS
    stable: float = STABLE_SECONDS

    def wait(self, deaths: int) -> float:
        """Return the wait after so many deaths in a row."""
        return min(MAX_WAIT_SECONDS, self.first_wait * 2.0 ** min(deaths - 1, 30))


class Kept:
    """One process that is kept running."""

    def __init__(
        self,
        child: Child,
        start: Callable[[], Awaitable[None]],
        patience: Patience,
        *,
        needs: Sequence["Kept"] = (),
        changed: Callable[[Death], None],
        now: Callable[[], datetime],
    ) -> None:
        """`start` starts the child and returns once it is ready; it is called only while all of `needs` run."""
        self.child = child
        self.up = asyncio.Event()
        self.up.set()
        self._start = start
        self._patience = patience
        self._needs = needs
        self._changed = changed
        self._now = now

    async def keep(self) -> None:
        """Start it again whenever it has died, until cancelled.

        Raises:
            StackError: it has died once more than it may.
        """
        deaths, started = 0, time.monotonic()
        while True:
            await self.child.wait()
            self.up.clear()
            deaths = 1 if time.monotonic() - started > self._patience.stable else deaths + 1
            if self._patience.tries is not None and deaths > self._patience.tries:
                raise self.child.death()
            death = Death(
                name=self.child.name,
                deaths=deaths,
                at=self._now(),
                how=self.child.how_it_ended(),
                log=self.child.log,
                running=False,
            )
            self._changed(death)
            await asyncio.sleep(self._patience.wait(deaths))
            for needed in self._needs:
                await needed.up.wait()
            started = time.monotonic()
            if await self._started():
                self.up.set()
                self._changed(death.model_copy(update={"running": True}))

    async def _started(self) -> bool:
        try:
            await self._start()
        except StackError:
            await self.child.kill()  # it may hang
            return False
        return True
