"""Whoever may not do something is told so before the body is read, on every route that may have one."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.web.api import OPERATIONS
from soulcaster.web.pages import create_pages
from tests.support.web import SESSION_KEY, Client, World

SECONDS = 60.0
"""How long an answer may take that does not wait for the body."""

IDS = {"project_id": "p1", "source": "reddit", "owner": "o", "repo": "r"}
OPERATIONS_WITH_RIGHTS = [one for one in OPERATIONS if one.scope is not None and one.method != "GET"]
FORMS = sorted(
    f"/app{route.resource.canonical}"
    for route in create_pages(SESSION_KEY, secure=False).router.routes()
    if route.resource is not None and route.method == "POST"
)


def address(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: IDS.get(name[1], "x"), path)


async def answer(client: Client, method: str, path: str, headers: Mapping[str, str]) -> int:
    """Return the status that a request gets whose body never comes, although it is announced."""
    server = client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    sent = {"Host": f"{server.host}:{server.port}", "Content-Length": "200000", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    try:
        writer.write(f"{method} {path}?project_id=p1 HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(SECONDS):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def test_the_walk_has_routes_of_both_kinds() -> None:
    assert len(OPERATIONS_WITH_RIGHTS) > 30
    assert len(FORMS) > 15


@pytest.fixture
async def stranger(world: World) -> AsyncIterator[Client]:
    """A client of a server that requires keys, signed in as somebody who is in no project."""
    await world.fill()
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        await world.sign_in.offer("link", "stranger", seconds=60)
        await client.get("/app/sign-in", params={"token": "link"})
        yield client


@pytest.mark.parametrize("operation", OPERATIONS_WITH_RIGHTS, ids=lambda one: one.id)
async def test_an_operation_answers_before_the_body(world: World, guarded: Client, operation: object) -> None:
    one = next(known for known in OPERATIONS_WITH_RIGHTS if known is operation)
    json = {"Content-Type": "application/json"}
    path = address(one.path)
    assert await answer(guarded, one.method, path, json) == 401
    assert await answer(guarded, one.method, path, json | {"X-API-Key": "wrong"}) == 401
    assert await answer(guarded, one.method, path, json | {"X-API-Key": "scj_wrong"}) == 401
    if one.scope != "program":
        key = await world.key("read")
        assert await answer(guarded, one.method, path, json | key) == 403
    if one.signed is not None:
        for header in ("Sentry-Hook-Signature", "X-Hub-Signature-256"):
            assert await answer(guarded, one.method, path, json | {header: "sha256=00"}) == 401


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_answers_before_the_body(stranger: Client, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert await answer(stranger, "POST", address(path), form) == 401
    if "{project_id}" in path:
        cookies = stranger.session.cookie_jar.filter_cookies(stranger.make_url("/app"))
        signed_in = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
        assert await answer(stranger, "POST", address(path), form | {"Cookie": signed_in}) == 404
