"""No client of ours reads an answer that does not end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from soulcaster.adapters.aws.s3 import S3Archive
from soulcaster.http_client import MOST_ANSWER_BYTES, http_session
from soulcaster.pollers.reddit_client import Credentials, RedditClient, RedditConfig
from tests.adapters.test_redirects import (
    app,
    calls,
    changes,
    gemini,
    issues,
    job,
    poller,
    repositories,
    sign_in,
    upstash,
    viewer,
)
from tests.support.aws import lead_aws_to

PART = b" " * 1024 * 1024
UNDER_WAY = 24 * 1024 * 1024
"""What the server has written and the client has not taken yet, at most."""


class Endless:
    """A server whose answers go on until the caller leaves, or long after it should have left."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.longest = 0
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        sent = 0
        with suppress(ConnectionError):
            while sent < MOST_ANSWER_BYTES + 2 * UNDER_WAY:
                await response.write(PART)
                sent += len(PART)
                self.longest = max(self.longest, sent)
        return response


@pytest.fixture(params=[200, 422])
async def endless(request: pytest.FixtureRequest) -> AsyncIterator[Endless]:
    endless = Endless(request.param)
    async with endless.server:
        yield endless


async def s3(_url: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x"

    archive = S3Archive("bucket", tries=1)
    try:
        await archive.write("key", parts())
    finally:
        await archive.close()


async def reddit(url: str) -> None:
    async with http_session() as session:
        config = RedditConfig(URL(url), "kim", Credentials("id", "secret", URL(url)), None)
        await RedditClient(session, config, clock=lambda: 0.0).page("python", "new")


@pytest.mark.parametrize(
    "call", [issues, repositories, calls, changes, viewer, app, sign_in, gemini, s3, upstash, poller, job, reddit]
)
async def test_no_client_reads_an_answer_without_an_end(
    endless: Endless, call: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_aws_to(endless.url, monkeypatch)
    with suppress(Exception):  # each raises what it raises when its server does not serve, or says so
        await call(endless.url)
    assert 0 < endless.longest <= MOST_ANSWER_BYTES + UNDER_WAY


async def test_an_answer_is_read_in_parts_without_a_limit() -> None:
    endless = Endless(200)
    async with endless.server, http_session() as session, session.get(endless.url) as response:
        read = 0
        async for part in response.content.iter_any():
            read += len(part)
    assert read > MOST_ANSWER_BYTES
