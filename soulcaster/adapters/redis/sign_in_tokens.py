"""One-time sign-in tokens in Redis: `signin:{sha256 hex of the token}` holds who it signs in.

Only the hash is stored, so that who reads Redis cannot sign in; `soulcaster run` stores it with a time to live.
"""

import hashlib
from typing import cast

from redis.exceptions import RedisError

from soulcaster.adapters.redis.client import redis_client
from soulcaster.errors import RedisUnavailable

TIMEOUT_SECONDS = 2.0


def sign_in_key(token: str) -> str:
    """Return the Redis key of a token."""
    return f"signin:{hashlib.sha256(token.encode()).hexdigest()}"


class RedisSignIn:
    """Stores and consumes sign-in tokens."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call connects."""
        self._redis = redis_client(url, timeout=TIMEOUT_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def offer(self, token: str, user: str, *, seconds: int) -> None:
        """Let a token sign `user` in once, within so many seconds.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        try:
            await self._redis.set(sign_in_key(token), user, ex=seconds)
        except (RedisError, OSError) as error:
            raise RedisUnavailable from error

    async def consume(self, token: str) -> str | None:
        """Return whom the token signs in and forget it, or None when it is unknown, used or expired.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        try:
            return cast("str | None", await self._redis.getdel(sign_in_key(token)))
        except (RedisError, OSError) as error:
            raise RedisUnavailable from error
