"""A project is sent so many bytes in a minute and no more, however small they were on their way."""

import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.web.api import OPERATIONS
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World
from tests.support.webhooks import HEADER, SECRET, signature

WINDOW = 1024 * 1024
"""Bytes of ten seconds where a minute may have 6 MB."""

BLANKS = gzip.compress(b'{"nothing":"' + b" " * (WINDOW * 3 // 8) + b'"}')
"""Two of these are less than a window may have, and three are more."""

GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


@pytest_asyncio.fixture
async def bounded(world: World) -> AsyncIterator[Client]:
    """The server with 6 MB a minute, which nobody may call without a key."""
    await world.rate_limits.close()
    world.rate_limits = world.limits(megabytes=6)
    world.now = NOW + timedelta(seconds=3)
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        yield client


async def blanks(client: Client, headers: dict[str, str], query: str = "") -> ClientResponse:
    return await client.post(f"/ingest/sentry{query}", data=BLANKS, headers={**GZIP, **headers})


async def test_what_is_too_much_decompressed_is_told_when_to_come_again(world: World, bounded: Client) -> None:
    ingest, elsewhere = await world.key("ingest"), await world.key("ingest", project="p2")
    assert [(await blanks(bounded, ingest)).status for _ in range(2)] == [202, 202]
    sent = len(world.publisher.sent)
    refused = await blanks(bounded, ingest)
    await problem(refused, 429)
    assert refused.headers["Retry-After"] == "7"
    assert len(world.publisher.sent) == sent
    assert (await blanks(bounded, elsewhere)).status == 202
    world.now += timedelta(seconds=7)
    assert (await blanks(bounded, ingest)).status == 202


async def test_signed_webhooks_and_keys_share_what_a_project_may_be_sent(world: World, bounded: Client) -> None:
    await world.webhooks().create("p1", "sentry", SECRET, by="test")
    signed = {HEADER["sentry"]: signature("sentry", BLANKS)}
    assert [(await blanks(bounded, signed, "?project_id=p1")).status for _ in range(2)] == [202, 202]
    await problem(await blanks(bounded, await world.key("ingest")), 429)
    await problem(await blanks(bounded, signed, "?project_id=p1"), 429)


async def test_a_body_that_is_read_twice_counts_once(world: World, bounded: Client) -> None:
    """What GitHub says of a pull request that is not ours is looked at as such first, and then as feedback."""
    await world.webhooks().create("p1", "github", SECRET, by="test")
    signed = {HEADER["github"]: signature("github", BLANKS), "X-GitHub-Event": "pull_request"}
    for _ in range(2):
        answer = await bounded.post("/ingest/github?project_id=p1", data=BLANKS, headers={**GZIP, **signed})
        assert answer.status in {200, 202}, await answer.text()


async def test_the_local_owner_is_not_counted(world: World) -> None:
    await world.rate_limits.close()
    world.rate_limits = world.limits(megabytes=6)
    async with TestClient(TestServer(world.app())) as client:
        assert {(await blanks(client, {}, "?project_id=p1")).status for _ in range(4)} == {202}


@pytest.mark.parametrize(
    "op",
    [op for op in OPERATIONS if (op.body or op.signed) and op.scope not in {None, "local", "program"}],
    ids=lambda op: op.id,
)
async def test_every_body_counts_before_it_is_parsed(world: World, bounded: Client, op: Any) -> None:
    """Those of other scopes have a share of their own."""
    others = {one.scope for one in OPERATIONS if one.scope not in {None, "local", "program", op.scope}}
    headers = {"Content-Type": "application/json", **await world.key(op.scope)}
    path = op.path.format(**dict.fromkeys(op.path_parameters, "sentry") | {"project_id": "p1"})
    for scope in others:
        assert await world.rate_limits.take_sent("bytes", "p1", scope, 2 * WINDOW) > 0
    first = await bounded.request(op.method, path, data=b"[", headers=headers)
    assert first.status != 429, await first.text()
    assert await world.rate_limits.take_sent("bytes", "p1", op.scope, 2 * WINDOW) > 0
    await problem(await bounded.request(op.method, path, data=b"[", headers=headers), 429)
