from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from tests.conftest import RedisServer
from tests.support.upstash import Upstash


@pytest.fixture(params=["redis", "upstash"])
def redis_url(request: pytest.FixtureRequest, redis_server: RedisServer) -> str:
    """The Redis that all tests share, over each protocol."""
    server: RedisServer | Upstash = redis_server
    if request.param == "upstash":
        server = request.getfixturevalue("upstash_server")
    return server.url


@pytest.fixture
async def read_model(redis_url: str, redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    """An empty read model, over each protocol."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(redis_url))
    yield model
    await model.close()


@pytest.fixture
async def with_notices(redis_url: str, read_model: RedisReadModel) -> AsyncIterator[RedisReadModel]:
    """The same read model; its writer adds notices."""
    model = RedisReadModel(RedisAccess(redis_url), notices=True)
    yield model
    await model.close()
