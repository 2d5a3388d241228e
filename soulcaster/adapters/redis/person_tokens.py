"""Sealed GitHub tokens of people in Redis, by job; each expires."""

from datetime import timedelta

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection


class RedisPersonTokens:
    """PersonTokenStore over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def keep(self, job_id: str, sealed: str, expires: timedelta) -> None:
        """Keep the token of a job for so long."""
        async with self._connection.commands() as redis:
            await redis.set(keys.person_token(job_id), sealed, expires=expires)

    async def get(self, job_id: str) -> str | None:
        """Return the token of a job, or None."""
        async with self._connection.commands() as redis:
            return await redis.get(keys.person_token(job_id))
