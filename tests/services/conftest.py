from collections.abc import AsyncIterator

import pytest

from tests.conftest import RedisServer
from tests.support.web import World


@pytest.fixture
async def world(redis_server: RedisServer) -> AsyncIterator[World]:
    async with World(redis_server) as world:
        yield world
