"""No job is launched twice and none is stuck, whatever happens to launchers, Kafka and Redis."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.dev.loopback import free_port
from soulcaster.dev.stack import Stack
from soulcaster.domain.lifecycle import JobState
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.topics import all_topics
from tests.integration.conftest import ready, settled
from tests.loss.launchers import ENDLESS, Yard

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group(__name__)]

KILLS = int(os.environ.get("SOULCASTER_TEST_KILLS", "3"))
"""How often the launcher is killed in the test that kills it again and again; each time takes some seconds."""


@pytest.fixture(scope="module")
def site(loop_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A worker and a web server for all tests of this file."""
    data_dir = tmp_path_factory.mktemp("site") / "yard"
    settings = loop_stack.settings.model_copy(
        update={
            "app_id": f"loss-{uuid4().hex[:8]}",
            "port": free_port(),
            "backends": "local",
            "launcher_jobs": 6,
            "local_jobs_folder": data_dir / "jobs",
            "local_without_isolation": True,
        }
    )
    site = Yard(settings, data_dir)
    asyncio.run(_opened(site))
    yield site
    asyncio.run(site.close())


async def _opened(site: Yard) -> None:
    settings = site.settings
    await provision(kafka_access(settings), all_topics(settings.app_id), partitions=settings.partitions, replication=1)
    site.start("worker")
    site.start("web")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as http:
        await ready(http)
        project_id = f"{settings.app_id}-begin"  # the worker works, too: one that Kafka leaves while it starts ends
        async with http.post("/ingest/manual", params={"project_id": project_id}, json={"text": "begin"}) as answer:
            assert answer.status == 202
    await settled(settings, project_id, 1)


@pytest_asyncio.fixture
async def yard(site: Yard) -> AsyncIterator[Yard]:
    """The site with a project of the test's own; its launchers end with the test."""
    site.begin()
    yield site
    await site.stop_launchers()


async def test_a_launcher_that_is_killed_again_and_again_starts_nothing_twice(yard: Yard) -> None:
    chance = random.Random(11)
    for _ in range(KILLS):
        launcher = yard.launcher()
        await yard.order(2)
        async with asyncio.timeout(60):
            while "a job begins" not in launcher.log.read_text():
                await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0.0, 1.5))  # so that it dies at any point of the way
        await launcher.kill()
        await yard.forget_killed()
    launcher = yard.launcher()
    history = await yard.all_ended()
    await yard.check(history)

    await launcher.stop()
    await yard.replay()
    yard.launcher()
    again = await yard.all_ended()
    assert again.steps == history.steps, "a replay of the commands changed something"
    await yard.nothing_left()


async def test_two_launchers_share_jobs_one_is_killed_and_another_one_comes(yard: Yard) -> None:
    first, _second = yard.launcher(), yard.launcher()
    await yard.order(8)
    await yard.running(3)
    yard.launcher()  # a rebalance while jobs run
    await yard.order(4)
    await yard.running(3)
    await yard.joined(3)
    await first.kill()
    await yard.check(await yard.all_ended())


async def test_redis_and_kafka_are_away_for_a_while(yard: Yard, loop_stack: Stack) -> None:
    yard.launcher()
    await yard.order(8)
    await yard.running(2)
    await loop_stack.redis.kill()
    await asyncio.sleep(2)
    await loop_stack.start_redis()
    await yard.order(4)
    await yard.running(1)
    await loop_stack.kafka.child.kill()
    await asyncio.sleep(2)
    await loop_stack.start_kafka()
    await yard.check(await yard.all_ended())


async def test_the_processes_of_a_cancelled_job_are_gone_within_seconds(yard: Yard) -> None:
    yard.launcher(ENDLESS)
    ids = await yard.order(2)
    await yard.running(2)
    here = {"project_id": yard.project_id}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{yard.settings.port}") as http:

        async def state(job_id: str) -> JobState:
            async with http.get(f"/jobs/{job_id}", params=here) as answer:
                found: JobState = (await answer.json())["state"]
                return found

        for job_id in ids:
            async with asyncio.timeout(60):
                while await state(job_id) != "running":
                    await asyncio.sleep(0.1)
            async with http.post(f"/jobs/{job_id}/cancel", params=here) as answer:
                assert answer.status in {200, 202}, await answer.text()
    await yard.nothing_left(seconds=15)  # five on a quiet machine: `soulcaster bench fixes` measures it
    history = await yard.all_ended()
    assert {(job.state, job.launch) for job in history.jobs.values()} == {("cancelled", 1)}
