"""What GitHub answers is read beside the event loop, whoever's server that is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.adapters.github.calls import Calls
from soulcaster.adapters.github.rest import read_json
from soulcaster.errors import SourceUnavailable
from soulcaster.http_client import http_session
from soulcaster.http_json import MOST_PARTS
from tests.support.loop_steps import measured_steps, too_long


async def by_aiohttp(url: str) -> Any:
    async with http_session() as session, session.get(url) as response:
        return await read_json(response)


async def by_githubkit(url: str) -> Any:
    async with Calls(url, "secret", lambda: datetime.now(UTC)) as client:
        return await client.read("/", "issues")


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """The address of a GitHub that answers this."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize("way", [by_aiohttp, by_githubkit])
async def test_a_long_answer_does_not_hold_up_the_loop(way: Callable[[str], Awaitable[Any]]) -> None:
    issues = [{"id": n, "title": "It is slow", "labels": [{"name": "bug"}]} for n in range(50_000)]
    body = json.dumps(issues).encode()

    async with answering(body) as url:

        async def read() -> None:
            found.append(len(await way(url)))

        found: list[int] = []
        with measured_steps() as steps:
            assert await too_long(steps, lambda: asyncio.create_task(read())) is None
    assert found[-1] == len(issues)


@pytest.mark.parametrize("way", [by_aiohttp, by_githubkit])
async def test_an_answer_of_millions_of_objects_is_not_read(way: Callable[[str], Awaitable[Any]]) -> None:
    async with answering(b"[" + b"{}," * MOST_PARTS + b"{}]") as url:
        with pytest.raises(SourceUnavailable, match="not JSON"):
            await way(url)
