"""What callers whom nobody knows can make the server do is bounded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import jinja2
import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.services.fair_turns import FairTurns
from soulcaster.web import problems, signatures
from soulcaster.web.rendering import TEMPLATES
from soulcaster.web.turns import TURNS
from tests.support.answers import page, problem
from tests.support.web import Client, World
from tests.support.webhooks import HEADER, SECRET, signature

FORGED = {"Content-Type": "application/json", HEADER["github"]: "sha256=" + "0" * 64}


async def test_the_documentation_is_rendered_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(TestServer(world.app())) as client:
        shown = await asyncio.gather(*(client.get("/docs") for _ in range(3)))
        [text] = {await page(answer) for answer in shown}
        monkeypatch.setattr(TEMPLATES, "loader", jinja2.DictLoader({}))
        assert await page(await client.get("/docs")) == text


class Slow:
    """A body that has begun, and ends when it `goes_on`."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        yield b"{"
        self.begun.set()
        await self.goes_on.wait()
        yield b"}"


async def test_bodies_of_unproven_webhooks_wait_for_their_turn(world: World) -> None:
    await world.webhooks().create("p1", "github", SECRET, by="test")
    await world.webhooks().create("p2", "github", SECRET, by="test")
    app = world.app(keyless=False)
    app[TURNS] = replace(app[TURNS], unproven=FairTurns(2, each=1, waiting=0))
    slow = Slow()
    async with TestClient(TestServer(app)) as client:
        held = asyncio.create_task(client.post("/ingest/github?project_id=p1", data=slow.body(), headers=FORGED))
        await slow.begun.wait()
        refused = await _until(client, "p1", 429)
        assert refused == 429
        signed = FORGED | {HEADER["github"]: signature("github", b"{}"), "X-GitHub-Event": "ping"}
        other = await client.post("/ingest/github?project_id=p2", data=b"{}", headers=signed)
        assert other.status == 200, "another project has places of its own"
        slow.goes_on.set()
        await problem(await held, 401)
        assert (await client.post("/ingest/github?project_id=p1", data=b"{}", headers=signed)).status == 200


async def test_unproven_webhooks_of_one_address_leave_room_for_those_of_another(world: World) -> None:
    await world.webhooks().create("p1", "github", SECRET, by="test")
    app = world.app(keyless=False)
    app[TURNS] = replace(app[TURNS], unproven=FairTurns(2, each=1, waiting=0))
    slow = Slow()
    async with TestClient(TestServer(app)) as client:
        held = asyncio.create_task(client.post("/ingest/github?project_id=p1", data=slow.body(), headers=FORGED))
        await slow.begun.wait()
        assert await _until(client, "p1", 429) == 429
        signed = FORGED | {HEADER["github"]: signature("github", b"{}"), "X-GitHub-Event": "ping"}
        address = client.make_url("/ingest/github?project_id=p1")
        from_elsewhere = TCPConnector(local_addr=("127.0.0.2", 0))
        async with (
            ClientSession(connector=from_elsewhere) as vendor,
            vendor.post(address, data=b"{}", headers=signed) as answer,
        ):
            assert answer.status == 200
        slow.goes_on.set()
        await problem(await held, 401)


async def test_an_unproven_body_that_does_not_come_gives_its_place_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "UNPROVEN_SECONDS", 0.1)
    monkeypatch.setattr(problems, "REQUEST_SECONDS", 600.0)  # which ends it in any case
    await world.webhooks().create("p1", "github", SECRET, by="test")
    app = world.app(keyless=False)
    app[TURNS] = replace(app[TURNS], unproven=FairTurns(1, each=1))
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await ended.wait()

    async with TestClient(TestServer(app)) as client, asyncio.timeout(60):
        answer = await client.post("/ingest/github?project_id=p1", data=endless(), headers=FORGED)
        await problem(answer, 503)
        assert answer.headers["Retry-After"]
        ended.set()
        signed = FORGED | {HEADER["github"]: signature("github", b"{}"), "X-GitHub-Event": "ping"}
        assert (await client.post("/ingest/github?project_id=p1", data=b"{}", headers=signed)).status == 200


async def _until(client: Client, project: str, status: int) -> int:
    """Send forged webhooks until one is answered with this status; return the last answer's."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.post(f"/ingest/github?project_id={project}", data=b"{}", headers=FORGED)
            if answer.status == status:
                return answer.status
            await asyncio.sleep(0.01)
