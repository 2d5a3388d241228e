from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis_read_model import RedisReadModel
from soulcaster.ports import ReadModel
from tests.web.conftest import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def redis_to_break(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture(params=["redis"])
async def read_model(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[ReadModel]:
    """Every implementation of the port, empty."""
    assert request.param == "redis"
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(redis_server.url)
    yield model
    await model.close()
