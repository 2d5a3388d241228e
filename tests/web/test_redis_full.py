"""A Redis whose memory is full: what is stored can be read, what is new is refused, and everybody can tell why."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.domain.sessions import SEEN_EVERY
from tests.conftest import RedisServer
from tests.support.answers import page, problem
from tests.support.web import World

HERE = {"project_id": "p1"}


@pytest_asyncio.fixture
async def alone(redis_to_break: RedisServer) -> AsyncIterator[World]:
    """A world on a Redis of its own."""
    async with World(redis_to_break) as world:
        yield world


async def fill_up(world: World, *, full: bool) -> None:
    async with Redis.from_url(world.redis.url) as redis:
        await redis.config_set("maxmemory", 1 if full else 0)


async def test_reading_goes_on_and_ready_says_what_is_wrong(alone: World) -> None:
    await alone.fill()
    key = await alone.key("read", "ingest")
    sent = len(alone.publisher.sent)
    async with TestClient(TestServer(alone.app(keyless=False))) as client:
        await fill_up(alone, full=True)
        for path in ("/stats", "/clusters", "/clusters/c1", "/feedback", "/sources"):
            answer = await client.get(path, params=HERE, headers=key)
            assert answer.status == 200, (path, await answer.text())
        said = await problem(await client.get("/ready"), 503)
        assert said["checks"] == {"kafka": "ok", "redis": "takes no writes"}
        assert (await client.get("/health")).status == 200
        posted = await client.post("/ingest/manual", params=HERE, headers=key, json={"text": "It is late."})
        assert "takes no writes" in (await problem(posted, 503))["detail"]
        assert len(alone.publisher.sent) == sent
        await fill_up(alone, full=False)
        assert (await client.get("/ready")).status == 200
        posted = await client.post("/ingest/manual", params=HERE, headers=key, json={"text": "It is late."})
        assert posted.status == 202


async def test_who_calls_too_often_is_refused_there_too(alone: World) -> None:
    key, other = await alone.key("read"), await alone.key("read", project="p2")
    await alone.rate_limits.close()
    alone.rate_limits = alone.limits(per_key=12, per_project=60)  # two in a window of ten seconds
    async with TestClient(TestServer(alone.app(keyless=False))) as client:

        async def statuses(headers: dict[str, Any]) -> list[int]:
            return [(await client.get("/stats", headers=headers)).status for _ in range(3)]

        await fill_up(alone, full=True)
        assert await statuses(key) == [200, 200, 429]
        assert await statuses(other) == [200, 200, 429]
        alone.now += timedelta(seconds=10)
        assert await statuses(key) == [200, 200, 429]


async def test_pages_are_shown_though_the_session_cannot_be_noted(alone: World) -> None:
    await alone.fill()
    async with TestClient(TestServer(alone.app(keyless=False))) as client:
        await alone.sign_in.offer("once", LOCAL_OWNER, seconds=60)
        await page(await client.get("/app/sign-in", params={"token": "once"}))
        alone.now += 2 * SEEN_EVERY
        await fill_up(alone, full=True)
        assert "Late card" in await page(await client.get("/app/projects/p1"))
