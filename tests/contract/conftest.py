from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis.read_model import RedisReadModel
from tests.conftest import RedisServer
from tests.support.upstash import Upstash


@pytest.fixture(params=["redis", "upstash"])
def redis_url(request: pytest.FixtureRequest, redis_server: RedisServer) -> str:
    """Every way to the Redis that all tests share."""
    server: RedisServer | Upstash = redis_server
    if request.param == "upstash":
        server = request.getfixturevalue("upstash_server")
    return server.url


@pytest.fixture
async def read_model(redis_url: str, redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    """The read model by every way to it, empty."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(redis_url)
    yield model
    await model.close()


@pytest.fixture
async def telling(redis_url: str, read_model: RedisReadModel) -> AsyncIterator[RedisReadModel]:
    """The same, and what it writes it tells of."""
    model = RedisReadModel(redis_url, notices=True)
    yield model
    await model.close()
