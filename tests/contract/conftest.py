from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis_read_model import RedisReadModel
from soulcaster.ports import ReadModel
from tests.conftest import RedisServer
from tests.contract.gemini import Gemini


@pytest.fixture(params=["redis"])
async def read_model(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[ReadModel]:
    """Every implementation of the port, empty."""
    assert request.param == "redis"
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(redis_server.url)
    yield model
    await model.close()


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini() as server:
        yield server
