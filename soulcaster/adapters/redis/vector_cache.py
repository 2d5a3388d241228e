"""A cache of paid vectors in Redis: `embedding:{embedder}:{version}:{hash of the text}` holds float16 bytes.

While Redis is unavailable, slow or full, the cache finds nothing and stores nothing.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import structlog
from redis.asyncio import Redis  # noqa: TID251  for our own connections
from redis.exceptions import RedisError

from soulcaster.adapters.redis.client import RedisAccess, redis_client

TIMEOUT_SECONDS = 1.0

PAUSE_SECONDS = 30.0
"""How long the cache does not ask a Redis that did not answer: waiting for it would cost more than embedding."""

READ_AT_ONCE = 1_000
"""Vectors that one command reads."""

log = structlog.get_logger(__name__)


class RedisVectorCache:
    """Values by key, kept for some days. No error of Redis reaches the caller."""

    def __init__(self, access: RedisAccess, *, days: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; the first call connects."""
        self._address = access.address
        self._redis = redis_client(access, timeout=TIMEOUT_SECONDS, decode=False)
        self._seconds = days * 24 * 3600
        self._clock = clock
        self._paused_until: float | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key, None for a missing one."""
        found: list[bytes | None] = []
        for at in range(0, len(keys), READ_AT_ONCE):
            async with self._if_there() as redis:
                if redis is not None:
                    found += cast(list[bytes | None], await redis.mget(keys[at : at + READ_AT_ONCE]))
        return found + [None] * (len(keys) - len(found))

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Store the values."""
        async with self._if_there() as redis:
            if redis is not None:
                async with redis.pipeline(transaction=False) as pipe:
                    for key, value in values.items():
                        pipe.set(key, value, ex=self._seconds)
                    await pipe.execute()

    @asynccontextmanager
    async def _if_there(self) -> AsyncIterator[Redis | None]:
        """Yield Redis, or None during a pause; log once when Redis fails, and once when it is back."""
        if self._paused_until is not None and self._clock() < self._paused_until:
            yield None
            return
        try:
            yield self._redis
        except (RedisError, OSError) as error:
            if self._paused_until is None:
                log.warning("no cache of embeddings for now", redis=self._address, error=str(error))
            self._paused_until = self._clock() + PAUSE_SECONDS
        else:
            if self._paused_until is not None:
                log.info("the cache of embeddings is back", redis=self._address)
            self._paused_until = None
