"""Fault 17: clocks that are wrong, and that jump."""

import asyncio
import random
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.site import WORKER, Site
from tests.support.tools import debian_package

LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
MINUTES = 10
JUMP_SECONDS = 20.0


class ClocksWrong(Fault):
    number = 17
    name = f"clocks of workers {MINUTES} minutes fast and slow, and jumping by as much"

    async def prepare(self, site: Site) -> None:
        [self._library] = debian_package("libfaketime").glob(LIBRARY)
        self._clocks: list[Path] = []

    def hire(self, site: Site) -> None:
        """Start workers, each with a clock of its own: right, fast, slow."""
        for number in range(site.scale.workers):
            clock = site.folder / f"clock-{number}"
            self._set(clock, (0, MINUTES, -MINUTES)[number % 3])
            self._clocks.append(clock)
            site.hire(
                WORKER,
                LD_PRELOAD=str(self._library),
                FAKETIME_TIMESTAMP_FILE=str(clock),
                FAKETIME_CACHE_DURATION="1",
                FAKETIME_DONT_FAKE_MONOTONIC="1",
            )

    async def strike(self, site: Site, chance: random.Random) -> None:
        for _ in range(2):
            for clock in self._clocks:
                self._set(clock, chance.choice([-MINUTES, 0, MINUTES]))
            site.watch.blow()
            await asyncio.sleep(JUMP_SECONDS)

    def _set(self, clock: Path, minutes: int) -> None:
        clock.write_text(f"{minutes:+d}m\n")
