from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis_read_model import RedisReadModel
from soulcaster.ports import ReadModel
from tests.conftest import RedisServer
from tests.contract.gemini import Gemini
from tests.contract.upstash import Upstash


@pytest.fixture(scope="session")
def upstash_server(redis_server: RedisServer) -> Iterator[Upstash]:
    """The REST API of the Redis that all tests share."""
    with Upstash(redis_server.port) as server:
        yield server


@pytest.fixture(params=["redis", "upstash"])
def redis_url(request: pytest.FixtureRequest, redis_server: RedisServer) -> str:
    """Every way to the Redis that all tests share."""
    server: RedisServer | Upstash = redis_server
    if request.param == "upstash":
        server = request.getfixturevalue("upstash_server")
    return server.url


@pytest.fixture
async def read_model(redis_url: str, redis_server: RedisServer) -> AsyncIterator[ReadModel]:
    """The read model by every way to it, empty."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(redis_url)
    yield model
    await model.close()


@pytest.fixture
async def telling(redis_url: str, read_model: ReadModel) -> AsyncIterator[ReadModel]:
    """The same, and what it writes it tells of."""
    model = RedisReadModel(redis_url, notices=True)
    yield model
    await model.close()


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini() as server:
        yield server
