"""A project that sends many requests at once makes only itself wait."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.adapters.redis.client import MAX_CONNECTIONS
from soulcaster.domain.events import CommandDone
from soulcaster.ports.dead_letters import DeadLetterPage
from soulcaster.services.fair_turns import FairTurns
from soulcaster.web import sending
from soulcaster.web.turns import TURNS, Turns
from soulcaster.wire.cluster_commands import ClusterCommand
from tests.support.answers import problem
from tests.support.make import NOW, item
from tests.support.web import Client, FakeDeadLetters, World


class Stuck(FakeDeadLetters):
    """Dead letters of which those of the project "greedy" are never found."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.freed = asyncio.Event()

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        self.asked[project_id] += 1
        if project_id == "greedy":
            await self.freed.wait()
        return await super().newest(project_id, limit=limit, before=before)


async def test_requests_of_a_project_that_hang_do_not_keep_anybody_from_reading(world: World) -> None:
    stuck = Stuck()
    async with TestClient(TestServer(world.app(dead_letters=stuck))) as client:
        greedy = [asyncio.create_task(client.get("/dead-letters?project_id=greedy")) for _ in range(50)]
        async with asyncio.timeout(60):
            while stuck.asked["greedy"] < 50:
                await asyncio.sleep(0.01)
        for project in ("greedy", "neighbour"):
            for path in ("/feedback", "/clusters", "/stats"):
                assert (await client.get(f"{path}?project_id={project}")).status == 200
        assert (await client.get("/dead-letters?project_id=neighbour")).status == 200
        stuck.freed.set()
        assert {answer.status for answer in await asyncio.gather(*greedy)} == {200}


async def test_a_project_reads_one_thing_after_the_other_and_another_does_not_wait(world: World) -> None:
    app = world.app()
    app[TURNS] = Turns(reading=FairTurns(8, each=1, waiting=3))
    async with TestClient(TestServer(app)) as client:
        long = await app[TURNS].reading.take("greedy")
        asked = [asyncio.create_task(client.get("/stats?project_id=greedy")) for _ in range(5)]
        refused: list[asyncio.Task[ClientResponse]] = []
        async with asyncio.timeout(60):
            while len(refused) < 2:
                refused = [task for task in asked if task.done()]
                await asyncio.sleep(0.01)
        for task in refused:
            await problem(await task, 429)
        for path in ("/feedback", "/clusters", "/stats"):
            assert (await client.get(f"{path}?project_id=neighbour")).status == 200
        assert (await client.post("/ingest/manual?project_id=greedy", json={"text": "It is slow"})).status == 202
        assert [task for task in asked if task.done()] == refused
        long.end()
        assert [(await task).status for task in asked if task not in refused] == [200] * 3


async def test_streams_take_places_of_their_own(world: World) -> None:
    app = world.app()
    app[TURNS] = Turns(streams=FairTurns(10, each=3, waiting=0))
    async with TestClient(TestServer(app)) as client:
        streams = [await client.get("/events?project_id=p1") for _ in range(3)]
        await problem(await client.get("/events?project_id=p1"), 429)
        assert (await client.get("/stats?project_id=p1")).status == 200
        streams.append(await client.get("/events?project_id=p2"))
        assert [stream.status for stream in streams] == [200] * 4
        for stream in streams:
            stream.close()


async def test_who_waits_for_an_effect_keeps_nobody_from_changing_something(world: World) -> None:
    await world.fill()
    world.publisher.outcome = "waiting"
    app = world.app()
    app[TURNS] = turns = Turns(writing=FairTurns(9, each=1), waits=FairTurns(9, each=1))
    async with TestClient(TestServer(app)) as client, asyncio.timeout(60):
        waiting = []
        for _ in range(2):  # the second finds no place among those that wait, and waits all the same
            waiting.append(asyncio.create_task(client.post("/clusters/rebalance?project_id=p1&wait=30")))
            while len(world.publisher.sent) < len(waiting):
                await asyncio.sleep(0.01)
        assert turns.waits.take_free("p1") is None
        for number, task in enumerate(waiting):
            assert not task.done()
            command_id = ClusterCommand.model_validate_json(world.publisher.sent[number].value).command.id
            await world.read_model.writer.apply("p1", [CommandDone(command_id, "applied", "", NOW)])
        assert [(await task).status for task in waiting] == [200, 200]
        for places in (turns.writing, turns.waits):
            assert places.take_free("p1") is not None, "each has given its place back"


async def test_large_batches_of_a_project_leave_threads_to_others(world: World) -> None:
    app = world.app()
    batch = {"items": [{"title": f"It is slow, {n}", "body": "slow " * 200, "source": "app"} for n in range(50)]}
    async with TestClient(TestServer(app)) as client:
        busy = [await app[TURNS].threads.take("greedy") for _ in range(2)]
        greedy = [asyncio.create_task(client.post("/ingest/feedback?project_id=greedy", json=batch)) for _ in range(10)]
        assert (await client.post("/ingest/feedback?project_id=neighbour", json=batch)).status == 202
        assert not any(post.done() for post in greedy)
        for turn in busy:
            turn.end()
        assert {answer.status for answer in await asyncio.gather(*greedy)} == {202}


def test_a_project_leaves_connections_to_redis_to_others() -> None:
    turns = Turns()
    assert turns.reading.each + turns.writing.each < MAX_CONNECTIONS - 10


async def test_a_project_that_is_refused_again_and_again_is_refused_slowly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "REFUSAL_SECONDS", 60.0)
    app = world.app(stored_bytes=1)
    app[TURNS] = Turns(writing=FairTurns(8, each=2))
    await world.read_model.writer.put_items("greedy", [item(1, "greedy")])
    async with TestClient(TestServer(app)) as client:
        greedy = [
            asyncio.create_task(client.post("/ingest/manual?project_id=greedy", json={"text": "It is slow"}))
            for _ in range(6)
        ]
        async with asyncio.timeout(50):
            while not app[TURNS].writing.crowds_out("greedy"):  # no place is left for the third
                await _post(client, "neighbour")
            for _ in range(20):
                await _post(client, "neighbour")
        assert app[TURNS].writing.crowds_out("greedy")
        assert not any(post.done() for post in greedy)
        for post in greedy:
            post.cancel()


async def _post(client: Client, project: str) -> None:
    posted = await client.post("/ingest/manual", params={"project_id": project}, json={"text": "It is slow"})
    assert posted.status == 202
