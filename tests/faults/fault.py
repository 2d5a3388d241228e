"""What a fault is, and a run of one: a site, its load, the fault, the wait for rest, and the verdict."""

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from soulcaster.domain.lifecycle import active
from tests.faults.judge import Verdict, judge
from tests.faults.load import Load
from tests.faults.site import Scale, Site
from tests.support.job_log import job_history

SETTLE_SECONDS = 300.0
"""What has not shown so long after the load ended never will."""

RECOVERED_WITHIN = 40.0
"""Seconds: the session time-out, after which others take over what a dead worker had, and 30 more."""

WARM_ITEMS = 200
SHOWN_OF = 40
"""Of a fresh run so many items show before the fault begins."""


class Fault:
    """Something that goes wrong, at moments that chance chooses."""

    number: ClassVar[int]
    name: ClassVar[str]
    seeds: ClassVar[int] = 3

    def settings(self) -> dict[str, Any]:
        """Return the settings in which its site differs."""
        return {}

    def env(self) -> dict[str, str]:
        """Return the variables that all processes of its site have."""
        return {}

    async def prepare(self, site: Site) -> None:
        """Set up what has to be there before the stack starts."""

    def hire(self, site: Site) -> None:
        """Start the workers."""
        for _ in range(site.scale.workers):
            site.hire()

    def load(self, site: Site, seed: int) -> Load:
        """Return the load."""
        return site.load(seed)

    async def strike(self, site: Site, chance: random.Random) -> None:
        """Do it, while the load flows, and note each blow; return when it is over."""
        raise NotImplementedError

    async def wrong(self, site: Site) -> tuple[list[str], list[str]]:
        """Return more that is lost, and more that is doubled, than every fault is judged for."""
        return [], []

    async def clean_up(self, site: Site) -> None:
        """Take away what `prepare` has set up."""


@dataclass(frozen=True)
class Outcome:
    """The figures of one run; times are in seconds, `recovered` is None where something never showed."""

    fault: int
    seed: int
    warm: bool
    items: int
    lost: int
    hidden: int
    doubled: int
    extra: int
    stall: float
    recovered: float | None
    restarts: int
    seconds: float
    findings: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.hidden or self.doubled)

    @property
    def timely(self) -> bool:
        return self.recovered is not None and self.recovered < RECOVERED_WITHIN


async def run(fault: Fault, seed: int, scale: Scale, folder: Path) -> Outcome:
    """Run a fault once; even seeds find warm partitions, odd ones fresh partitions."""
    began = time.monotonic()
    warm = seed % 2 == 0
    site = Site(folder, scale, seed, settings=fault.settings(), env=fault.env())
    background: list[asyncio.Task[None]] = []
    try:
        await fault.prepare(site)
        await site.open()
        fault.hire(site)
        background += [asyncio.create_task(site.watch.run()), asyncio.create_task(site.supervisor())]
        load = fault.load(site, seed)
        if warm:
            await load.post(WARM_ITEMS)
            await site.until_shown(len(site.ledger.accepted))
        flow = asyncio.create_task(load.run())
        background.append(flow)
        await site.order_jobs(scale.jobs // 2)
        await _calm(site, warm=warm)
        await fault.strike(site, site.chance)
        await site.order_jobs(scale.jobs - scale.jobs // 2)
        await asyncio.sleep(site.chance.uniform(*scale.calm))
        load.stop()
        await asyncio.wait_for(flow, SETTLE_SECONDS)
        await site.watch.all_shown(SETTLE_SECONDS)
        await _jobs_ended(site)
        for task in background:
            if task.done():
                task.result()  # one that has failed has seen less than it should
        recovered, stall = site.watch.recovered(), site.watch.longest_stall
        verdict = await judge(site)
        lost, doubled = await fault.wrong(site)
        return Outcome(
            fault=fault.number,
            seed=seed,
            warm=warm,
            items=verdict.items,
            lost=len(verdict.lost) + len(lost),
            hidden=len(verdict.hidden),
            doubled=len(verdict.doubled) + len(doubled),
            extra=verdict.extra,
            stall=round(stall, 1),
            recovered=None if recovered is None else round(recovered, 1),
            restarts=site.restarts,
            seconds=round(time.monotonic() - began, 1),
            findings=_findings(verdict, lost, doubled),
        )
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await site.close()
        await fault.clean_up(site)


async def _calm(site: Site, *, warm: bool) -> None:
    """Wait until the stream is in full flow; in fresh partitions it has just begun."""
    await site.until_shown(SHOWN_OF)
    if warm:
        await asyncio.sleep(site.chance.uniform(*site.scale.calm))


async def _jobs_ended(site: Site) -> None:
    """Wait until every job has ended; the verdict says which have not."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        jobs = (await job_history(site.settings, site.jobs_project)).jobs
        if set(jobs) == set(site.job_ids) and not any(active(job) for job in jobs.values()):
            return
        await asyncio.sleep(1.0)


def _findings(verdict: Verdict, lost: list[str], doubled: list[str], most: int = 20) -> tuple[str, ...]:
    found = [f"lost: {one}" for one in (*verdict.lost, *lost)]
    found += [f"hidden: {one}" for one in verdict.hidden]
    found += [f"doubled: {one}" for one in (*verdict.doubled, *doubled)]
    return tuple(found[:most])
