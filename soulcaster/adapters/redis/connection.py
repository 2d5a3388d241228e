"""The connection that the files of the read model share."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.adapters.redis.failures import failure, is_temporary
from soulcaster.adapters.redis.typed import Commands, Fence
from soulcaster.telemetry.metrics import REDIS_ERRORS, REDIS_SECONDS

TIMEOUT_SECONDS = 5.0
"""For a connection, and for an answer."""


class RedisConnection:
    """One pool of connections to one Redis; safe to use from many tasks."""

    def __init__(self, access: RedisAccess) -> None:
        """Prepare; the first command connects."""
        self._access = access
        self._redis = redis_client(access, timeout=TIMEOUT_SECONDS)
        self._commands = Commands(self._redis)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def ping(self) -> None:
        """Return when Redis answers.

        Raises:
            RedisUnavailable: it does not, within `TIMEOUT_SECONDS`.
        """
        async with self.commands() as redis:
            await redis.ping()

    @asynccontextmanager
    async def commands(self, fence: Fence | None = None) -> AsyncIterator[Commands]:
        """Yield the commands; inside, an error of a Redis that cannot serve now becomes RedisUnavailable.

        Other errors of Redis pass through: they come from the data, and trying again would not help. So do those of the
        fence, which writes pass before they are sent.
        """
        started = time.perf_counter()
        try:
            yield self._commands if fence is None else Commands(self._redis, fence)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            REDIS_ERRORS.labels("unavailable").inc()
            raise failure(self._access, error) from error
        except ResponseError as error:
            temporary = is_temporary(error)
            REDIS_ERRORS.labels("unavailable" if temporary else "error").inc()
            if temporary:
                raise failure(self._access, error) from error
            raise
        finally:
            REDIS_SECONDS.observe(time.perf_counter() - started)
