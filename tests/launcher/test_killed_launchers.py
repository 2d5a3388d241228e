"""A launcher that is killed with -9 at every point of its way, on every backend: nothing starts twice, no job hangs.

Points are before and after each call that leaves the launcher: to Kafka, to the backend, and from the backend to its
vendor. "After" is where the vendor has done it and the launcher never hears of it. Which points there are, an
undisturbed run shows, and each launcher that was started after a kill: it passes some that the first one does not.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from itertools import count
from pathlib import Path

import pytest
import stamina

from soulcaster.domain.lifecycle import active
from tests.support.kill_points import Killed, KillPoints, lose_answer
from tests.support.launch_killable import VENDORS
from tests.support.launcher import WORKS, Setting
from tests.support.programs import Script, Vendor

CRASHES = ("running", "exit")
CANCELLED = ("running", "cancel")

STORIES: dict[str, tuple[tuple[Script, ...], str, int]] = {
    "works": ((WORKS,), "succeeded", 1),
    "crashes, then works": ((CRASHES, WORKS), "succeeded", 2),
    "cancelled": ((CANCELLED,), "cancelled", 1),
}
"""What the programs of each launch do, how the job ends, and after how many launches."""

APART = {"memory": 1_000, "dry-run": 1_000, "ecs": 7, "e2b": 6, "local": 6}
"""How far apart the points are at which launchers of one job are killed, one after the other.

Real processes take time, so their jobs are shared by several kills; between two of them a launcher goes a long way.
"""

AT_ONCE = 4


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    with stamina.set_testing(True, attempts=1000):
        yield


@pytest.fixture(params=VENDORS)
async def vendor(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Vendor]:
    async with VENDORS[request.param](tmp_path) as vendor:
        yield vendor


class Job:
    """One job on a vendor, in a log of its own."""

    _numbers = count()

    def __init__(self, vendor: Vendor, story: str) -> None:
        scripts, self.end, self.launches = STORIES[story]
        self.id = f"j{next(self._numbers)}"
        self.setting = Setting(vendor, *scripts)
        self.setting.log.order(self.id, backend=vendor.name, seconds=3_000)

    async def killed_at(self, point: str) -> list[str]:
        """Run a launcher that is killed at this point; return the points it passed."""
        points = KillPoints(lambda name: name == point)
        try:
            await self.setting.launcher(points)
        except Killed:
            return list(points.passed)
        raise AssertionError(f"no launcher came to this point: {point}")

    async def run_to_its_end(self, points: KillPoints | None = None) -> list[str]:
        """Run a launcher that nobody kills; return the points it passed."""
        points = points or KillPoints()
        await self.setting.launcher(points)
        await self.setting.check_ended(self.id)
        return list(points.passed)

    def check(self) -> None:
        """Assert that the job went as its story says."""
        job = self.setting.log.job(self.id)
        assert (job.state, job.launch) == (self.end, self.launches)
        assert self.setting.log.dead_letters == []


async def run_all(jobs: Sequence[Awaitable[None]]) -> None:
    """Run several at once, but not all."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(job: Awaitable[None]) -> None:
        async with slots:
            await job

    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(one(job))


@pytest.mark.parametrize("story", ["crashes, then works", "cancelled"])
async def test_killed_at_every_point_it_starts_nothing_twice_and_leaves_nothing_behind(
    vendor: Vendor, story: str
) -> None:
    """A job that works at once has the points of the second launch of one that crashes first."""
    job = Job(vendor, story)
    whole = await job.run_to_its_end()
    job.check()
    later: dict[str, str] = {}
    """Points that only launchers pass that follow a killed one, and where that one was killed."""

    async def run(plan: Sequence[str]) -> None:
        job = Job(vendor, story)
        before = ""
        for point in plan:
            note(before, await job.killed_at(point))
            before = point
        note(before, await job.run_to_its_end())
        job.check()

    def note(before: str, passed: Sequence[str]) -> None:
        for point in passed:
            if point not in whole:
                later.setdefault(point, before)

    apart = min(APART[vendor.name], len(whole))
    await run_all([run(whole[first::apart]) for first in range(apart)])
    assert later or vendor.name in {"memory", "local"}
    await run_all([run([before, point]) for point, before in later.items()])


@pytest.mark.parametrize("which", ["before", "after"])
@pytest.mark.parametrize("story", STORIES)
async def test_requests_and_answers_that_are_lost_start_nothing_twice(vendor: Vendor, story: str, which: str) -> None:
    """Everything that is asked of Kafka and of the vendor is lost once: on the way there, or on the way back."""
    job = Job(vendor, story)
    points = KillPoints(lambda name: name.startswith(which) and "the program's" not in name, lose_answer)
    await job.run_to_its_end(points)
    job.check()
    assert len(points.struck) >= 6


@pytest.mark.parametrize("is_killed", [False, True])
async def test_cancelled_at_every_point_nothing_of_it_runs_any_more(vendor: Vendor, is_killed: bool) -> None:
    whole = await Job(vendor, "works").run_to_its_end()

    async def run(point: str) -> None:
        job = Job(vendor, "works")

        async def cancel(points: KillPoints) -> None:
            await job.setting.log.cancel(job.id)
            if is_killed:
                points.die()

        try:
            await job.setting.launcher(KillPoints(lambda name: name == point, cancel))
        except Killed:
            assert is_killed
        assert not active(job.setting.log.job(job.id))
        await job.run_to_its_end()

    await run_all([run(point) for point in whole])


async def test_killed_while_it_launches_and_the_vendor_goes_on(vendor: Vendor) -> None:
    """The launcher of `local` is a process of its own here, and ends by SIGKILL once its supervisor has started."""
    if not vendor.plays:
        pytest.skip("the program is a part of the launcher")
    job = Job(vendor, "works")

    async def launch_unheard(points: KillPoints) -> None:
        [launch] = job.setting.programs.launches.values()
        await vendor.launch_unheard(launch)
        points.die()

    with pytest.raises(Killed):
        await job.setting.launcher(KillPoints(lambda name: name == "before launch 1", launch_unheard))
    await job.run_to_its_end()
    job.check()
