"""Sessions end when somebody or time ends them, and a cookie of an ended session is worth nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.members import LOCAL_OWNER
from soulcaster.domain.sessions import IDLE, LONGEST, SEEN_EVERY
from soulcaster.services.sessions import MOST_SESSIONS, Sessions
from tests.support.answers import page, problem
from tests.support.web import Client, World

SESSIONS = "/app/sessions"
OF_OWNER = f"/users/{LOCAL_OWNER}/sessions"


@asynccontextmanager
async def browser(world: World, user: str = LOCAL_OWNER, **headers: str) -> AsyncIterator[Client]:
    """A browser that is signed in."""
    token = f"token-{user}-{len(headers)}-{id(headers)}"
    await world.sign_in.offer(token, user, seconds=60)
    async with TestClient(TestServer(world.app()), headers=headers) as client:
        assert (await client.get("/app/sign-in", params={"token": token})).status == 200
        yield client


def cookie_of(client: Client) -> dict[str, str]:
    [cookie] = [one for one in client.session.cookie_jar if one.key == "soulcaster"]
    return {"Cookie": f"soulcaster={cookie.value}"}


async def post(client: Client, path: str, status: int = 200) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', await page(await client.get(SESSIONS)))
    assert found is not None
    return await page(await client.post(path, data={"csrf_token": found[1]}), status)


async def listed(client: Client, user: str = LOCAL_OWNER) -> Any:
    answer = await client.get(f"/users/{user}/sessions")
    assert answer.status == 200
    return await answer.json()


async def test_a_cookie_that_was_kept_is_refused_after_sign_out(world: World, client: Client) -> None:
    async with browser(world) as mine:
        kept = cookie_of(mine)
        await page(await client.get("/app/projects", headers=kept))
        await post(mine, "/app/sign-out", 401)
        assert [one for one in mine.session.cookie_jar if one.key == "soulcaster" and one.value] == []
    await page(await client.get("/app/projects", headers=kept), 401)
    assert await listed(client) == []


async def test_a_person_sees_where_they_are_signed_in_and_ends_it_there(world: World, client: Client) -> None:
    async with browser(world) as mine, browser(world, **{"User-Agent": "Cat browser"}) as other:
        text = await page(await mine.get(SESSIONS))
        assert "Cat browser" in text
        assert text.count("this session") == 1
        [there] = re.findall(r'action="(/app/sessions/[^"/]+/end)"', text)
        assert "Signed out there." in await post(mine, there)
        await page(await other.get("/app/projects"), 401)
        await page(await mine.get("/app/projects"))
        assert "ended already" in await post(mine, there)


async def test_signing_out_elsewhere_and_everywhere(world: World) -> None:
    async with browser(world) as mine, browser(world) as second, browser(world) as third:
        assert "Signed out in 2 other places." in await post(mine, f"{SESSIONS}/end-others")
        await page(await second.get("/app/projects"), 401)
        await page(await third.get("/app/projects"), 401)
        kept = cookie_of(mine)
        await post(mine, f"{SESSIONS}/end-all", 401)
        await page(await second.get("/app/projects", headers=kept), 401)


async def test_nobody_ends_the_sessions_of_others(world: World, client: Client) -> None:
    await world.fill()
    await world.member("kim", "viewer")
    async with browser(world, "kim") as kim, browser(world) as owner:
        [mine] = await listed(client)
        await post(kim, f"{SESSIONS}/{mine['id']}/end")
        await post(kim, f"{SESSIONS}/end-all", 401)
        await page(await owner.get("/app/projects"))
        assert await listed(client, "kim") == []


async def test_the_local_owner_ends_them_by_the_api(world: World, client: Client, guarded: Client) -> None:
    async with browser(world, **{"User-Agent": "Cat browser\x9b1m"}) as mine, browser(world) as other:
        found = await listed(client)
        assert [one["user_id"] for one in found] == [LOCAL_OWNER] * 2
        [cat] = [one for one in found if one["browser"] == "Cat browser"]
        answer = await client.delete(f"{OF_OWNER}/{cat['id']}")
        assert await answer.json() == {"status": "ok", "user_id": LOCAL_OWNER, "ended": 1}
        await page(await mine.get("/app/projects"), 401)
        await page(await other.get("/app/projects"))
        await problem(await client.delete(f"{OF_OWNER}/{cat['id']}"), 404)
        assert (await (await client.delete(OF_OWNER)).json())["ended"] == 1
        await page(await other.get("/app/projects"), 401)
        for method in (guarded.get, guarded.delete):
            await problem(await method(OF_OWNER), 401)
            await problem(await method(OF_OWNER, headers=await world.key("admin")), 403)


async def test_a_session_that_is_used_lasts_a_month_and_one_that_is_not_a_week(world: World, client: Client) -> None:
    began = world.now
    async with browser(world) as mine, browser(world) as unused:
        [first, _] = await listed(client)
        assert first["ends_at"] == (began + IDLE).isoformat().replace("+00:00", "Z")
        while world.now < began + LONGEST - timedelta(days=3):
            world.now += timedelta(days=3)
            await page(await mine.get("/app/projects"))
        await page(await unused.get("/app/projects"), 401)
        [left] = await listed(client)
        assert left["ends_at"] == (began + LONGEST).isoformat().replace("+00:00", "Z")
        world.now = began + LONGEST
        await page(await mine.get("/app/projects"), 401)


async def test_using_a_session_never_brings_an_ended_one_back(world: World, client: Client) -> None:
    async with browser(world):
        [mine] = await world.read_model.sessions.of_user(LOCAL_OWNER)
        await world.read_model.sessions.end(LOCAL_OWNER, [mine.id])
        assert not await world.read_model.sessions.renew(mine, IDLE)
        assert await listed(client) == []


async def test_a_use_is_noted_now_and_then_and_gives_the_cookie_anew(world: World) -> None:
    async with browser(world) as mine:
        await page(await mine.get(SESSIONS))
        assert "Set-Cookie" not in (await mine.get("/app/jobs")).headers
        world.now += SEEN_EVERY
        assert "Set-Cookie" in (await mine.get("/app/jobs")).headers
        assert "Set-Cookie" not in (await mine.get("/app/jobs")).headers


async def test_a_user_has_only_so_many_sessions(world: World) -> None:
    sessions = Sessions(world.read_model.sessions, lambda: world.now)
    begun = []
    for _ in range(MOST_SESSIONS + 2):
        world.now += timedelta(seconds=1)
        begun.append(await sessions.begin("kim", ""))
    assert await sessions.of_user("kim") == begun[:1:-1]


async def test_sessions_survive_a_rebuild(world: World) -> None:
    async with browser(world) as mine:
        await world.read_model.writer.clear()
        await page(await mine.get("/app/projects"))


@pytest.mark.parametrize("path", [SESSIONS, "/app/jobs"])
async def test_a_second_sign_in_in_a_browser_replaces_its_session(world: World, client: Client, path: str) -> None:
    async with browser(world) as mine:
        kept = cookie_of(mine)
        await world.sign_in.offer("again", LOCAL_OWNER, seconds=60)
        assert (await mine.get("/app/sign-in", params={"token": "again"})).status == 200
        await page(await mine.get(path))
        await page(await client.get(path, headers=kept), 401)
        assert len(await listed(client)) == 1
