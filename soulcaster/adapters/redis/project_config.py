"""Settings of projects in Redis: their values and their reader."""

from datetime import timedelta

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.wire.project_config import StoredConfig

CLAIM_EXPIRES = timedelta(minutes=5)
"""Longer than it takes to store settings, unless the worker is down."""

CONFIG: TypeAdapter[StoredConfig] = TypeAdapter(StoredConfig)


class RedisProjectConfig:
    """ProjectConfigReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def get(self, project_id: str) -> StoredConfig:
        """Return a project's settings; the defaults as version 0 where none were set."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.project_config(project_id))
        return StoredConfig() if text is None else CONFIG.validate_json(text)

    async def claim(self, project_id: str, version: int) -> bool:
        """Claim a version for the caller; return False where another has claimed it."""
        async with self._connection.commands() as redis:
            return await redis.set_new(keys.config_claim(project_id, version), "1", expires=CLAIM_EXPIRES)

    async def release(self, project_id: str, version: int) -> None:
        """Give up a claim."""
        async with self._connection.commands() as redis:
            await redis.delete(keys.config_claim(project_id, version))
