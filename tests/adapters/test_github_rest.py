"""What GitHub answers is read beside the event loop, whoever's server that is."""

import asyncio
import json

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.adapters.github.rest import read_json
from tests.support.loop_steps import measured_steps, too_long


async def test_a_long_answer_does_not_hold_up_the_loop() -> None:
    issues = [{"id": n, "title": "It is slow", "labels": [{"name": "bug"}]} for n in range(100_000)]
    body = json.dumps(issues).encode()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestClient(TestServer(app)) as client:

        async def read() -> None:
            async with client.get("/") as response:
                found.append(len(await read_json(response)))

        found: list[int] = []
        with measured_steps() as steps:
            assert await too_long(steps, lambda: asyncio.create_task(read())) is None
    assert found[-1] == len(issues)
