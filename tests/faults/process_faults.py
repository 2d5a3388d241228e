"""Faults 1 to 4, 6 and 17: what happens to processes and to their clocks."""

import asyncio
import random

from tests.faults.fault import Fault
from tests.faults.site import Site

SESSION_SECONDS = 10.0


class WorkerKilled(Fault):
    number = 1
    name = "kill -9 of a worker, three times"
    seeds = 20
    kills = 3

    async def strike(self, site: Site, chance: random.Random) -> None:
        for _ in range(self.kills):
            await chance.choice(site.workers).kill()
            site.watch.blow()
            await site.until_shown(1)
            await asyncio.sleep(chance.uniform(0.0, 3.0))


class WorkerTold(Fault):
    number = 3
    name = "SIGTERM to a worker in mid-batch, three times"
    seeds = 20

    async def strike(self, site: Site, chance: random.Random) -> None:
        for _ in range(3):
            await site.until_shown(1)
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            worker = chance.choice(site.workers)
            site.watch.blow()
            await worker.stop()
            await asyncio.sleep(chance.uniform(0.0, 3.0))


class WorkersComeAndGo(Fault):
    number = 4
    name = "a worker joins or leaves every 20 s"
    seeds = 20
    turns, turn_seconds = 6, 20.0

    async def strike(self, site: Site, chance: random.Random) -> None:
        for turn in range(self.turns):
            site.watch.blow()
            if turn % 2 == 0:
                site.hire()
            else:
                await site.dismiss(chance.choice(site.workers), kill=chance.random() < 0.5)
            await asyncio.sleep(self.turn_seconds)


class WorkerSuspended(Fault):
    number = 6
    name = "SIGSTOP of a worker past the session time-out"

    async def strike(self, site: Site, chance: random.Random) -> None:
        worker = chance.choice(site.workers)
        worker.pause()
        await asyncio.sleep(SESSION_SECONDS + chance.uniform(5.0, 10.0))
        worker.resume()
        site.watch.blow()
