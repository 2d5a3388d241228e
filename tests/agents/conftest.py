from collections.abc import AsyncIterator, Iterator

import pytest
import stamina
from redis.asyncio import Redis

from soulcaster.adapters.redis.read_model import RedisReadModel
from tests.conftest import RedisServer


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries as they are, without the time between them; at most 50."""
    with stamina.set_testing(True, attempts=50):
        yield


@pytest.fixture
async def read_model(redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(redis_server.url)
    yield model
    await model.close()
