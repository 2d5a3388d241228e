"""The web application on a real Redis, and clients of it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.conftest import RedisServer
from tests.support.web import Client, World


@pytest.fixture
async def world(redis_server: RedisServer) -> AsyncIterator[World]:
    async with World(redis_server) as world:
        yield world


@pytest.fixture
async def fragile(redis_to_break: RedisServer) -> AsyncIterator[World]:
    async with World(redis_to_break) as world:
        yield world


async def _client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(world.app())) as client:
        yield client


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async for client in _client(world):
        yield client


@pytest.fixture
async def guarded(world: World) -> AsyncIterator[Client]:
    """A client of a server that requires an API key."""
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        yield client


@pytest.fixture
async def fragile_client(fragile: World) -> AsyncIterator[Client]:
    async for client in _client(fragile):
        yield client


@pytest.fixture
async def owner(world: World, client: Client) -> Client:
    """A client that is signed in."""
    await world.sign_in.offer("let-me-in", "owner", seconds=60)
    answer = await client.get("/app/sign-in", params={"token": "let-me-in"})
    assert answer.status == 200
    return client
