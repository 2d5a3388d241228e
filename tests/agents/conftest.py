from collections.abc import AsyncIterator, Iterator

import pytest
import stamina
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from tests.conftest import RedisServer


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retry without waiting in between, at most 50 times."""
    with stamina.set_testing(True, attempts=50):
        yield


@pytest.fixture
async def read_model(redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(redis_server.url))
    yield model
    await model.close()
