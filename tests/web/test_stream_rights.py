"""A stream ends when whoever follows it may not any more, and goes on for everybody else."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.services.api_keys import ApiKeys
from soulcaster.services.stream_rights import Right, StreamRights
from tests.support.make import NOW
from tests.support.web import Client, World, item

SOON = 60
LOG = "/app/projects/p1/jobs/j1/log"

Loss = Callable[[World], Awaitable[object]]


async def revoke(world: World) -> None:
    keys = ApiKeys(world.publisher, world.read_model.api_keys, lambda: NOW)
    for view in await world.read_model.api_keys.list("p1"):
        await keys.revoke("p1", view.key.id)


async def until_ended(stream: ClientResponse) -> str:
    return (await asyncio.wait_for(stream.content.read(), SOON)).decode()


async def goes_on(stream: ClientResponse, sign: bytes) -> None:
    async with asyncio.timeout(SOON):
        while sign not in await stream.content.readline():
            pass


@pytest.mark.parametrize(("path", "params"), [("/events", {}), ("/jobs/j1/logs", {"stream": "1"})])
async def test_the_streams_of_a_revoked_key_end(
    world: World, guarded: Client, path: str, params: dict[str, str]
) -> None:
    await world.fill()
    await world.job("j1", "running")
    headers = await world.key("read")
    query = {"project_id": "p1", **params}
    async with (
        guarded.get(path, params=query, headers=headers) as one,
        guarded.get(path, params=query, headers=headers) as two,
    ):
        assert (one.status, two.status) == (200, 200)
        await revoke(world)
        await until_ended(one)
        await until_ended(two)


async def test_an_expired_key_hears_no_more_and_others_go_on(world: World, guarded: Client) -> None:
    await world.fill()
    short = await world.key("read", expires_at=NOW.replace(year=NOW.year + 1))
    long = await world.key("read")
    query = {"project_id": "p1"}
    async with (
        guarded.get("/events", params=query, headers=short) as ending,
        guarded.get("/events", params=query, headers=long) as going,
    ):
        world.now = NOW.replace(year=NOW.year + 2)
        await until_ended(ending)
        await world.read_model.writer.put_items("p1", [item("new", "p1")])
        await goes_on(going, b"event: changed")


async def leave(world: World) -> None:
    await world.member("kim", "viewer", removed=True)


async def sign_out(world: World) -> None:
    sessions = await world.read_model.sessions.of_user("kim")
    await world.read_model.sessions.end("kim", [session.id for session in sessions])


@pytest.mark.parametrize("loss", [leave, sign_out])
async def test_a_page_that_follows_a_log_ends_for_who_may_not_read_any_more(world: World, loss: Loss) -> None:
    await world.fill()
    await world.member("kim", "viewer")
    await world.job("j1", "running")
    app = world.app()
    async with TestClient(TestServer(app)) as kim, TestClient(TestServer(world.app())) as owner:
        for client, user in ((kim, "kim"), (owner, LOCAL_OWNER)):
            await world.sign_in.offer(f"of-{user}", user, seconds=60)
            assert (await client.get("/app/sign-in", params={"token": f"of-{user}"})).status == 200
        async with kim.get(LOG) as stream, owner.get(LOG) as other:
            assert (stream.status, other.status) == (200, 200)
            await loss(world)
            assert "event: end" not in await until_ended(stream)
            await world.job("j1", "running", "success")
            await goes_on(other, b"event: end")
        assert (await kim.get(LOG)).status in {401, 404}


async def test_one_check_serves_all_streams_of_a_holder() -> None:
    rights, ended, asked = StreamRights(), [], 0
    standing = asyncio.Event()

    async def stands() -> bool:
        nonlocal asked
        asked += 1
        await standing.wait()
        return False

    with rights.watching(Right("k", stands), lambda: ended.append(1)):
        with rights.watching(Right("k", stands), lambda: ended.append(2)):
            await asyncio.sleep(0)
        with rights.watching(Right("k", stands), lambda: ended.append(3)):
            standing.set()
            async with asyncio.timeout(SOON):
                while not ended:
                    await asyncio.sleep(0)
    assert (ended, asked) == ([1, 3], 1)
    assert not rights.watched
