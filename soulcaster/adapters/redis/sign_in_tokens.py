"""One-time sign-in tokens in Redis: `signin:{SHA-256 of the token, hex}` holds the user that it signs in.

Only the hash is stored, so reading Redis is not enough to sign in. Tokens expire.
"""

import hashlib
from datetime import timedelta

from redis.exceptions import RedisError

from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.adapters.redis.failures import failure
from soulcaster.adapters.redis.typed import Commands

TIMEOUT_SECONDS = 2.0


def sign_in_key(token: str) -> str:
    """Return the Redis key of a token."""
    return f"signin:{hashlib.sha256(token.encode()).hexdigest()}"


class RedisSignIn:
    """Stores and consumes sign-in tokens."""

    def __init__(self, access: RedisAccess) -> None:
        """Prepare; the first call connects."""
        self._access = access
        self._redis = redis_client(access, timeout=TIMEOUT_SECONDS)
        self._commands = Commands(self._redis)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def offer(self, token: str, user: str, *, seconds: int) -> None:
        """Let a token sign `user` in once, within `seconds`.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        try:
            await self._commands.set(sign_in_key(token), user, expires=timedelta(seconds=seconds))
        except (RedisError, OSError) as error:
            raise failure(self._access, error) from error

    async def consume(self, token: str) -> str | None:
        """Return the user that the token signs in, and forget the token; None when it is unknown, used or expired.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        try:
            return await self._commands.getdel(sign_in_key(token))
        except (RedisError, OSError) as error:
            raise failure(self._access, error) from error
