"""API keys in Redis: their values and their reader."""

from datetime import datetime

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.slices import parsed
from soulcaster.domain.api_keys import ApiKey
from soulcaster.ports.api_keys import ApiKeyView

API_KEY: TypeAdapter[ApiKey] = TypeAdapter(ApiKey)


class RedisApiKeys:
    """ApiKeyReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def get(self, hashed: str) -> ApiKey | None:
        """Return the API key whose secret has this hash, revoked or not, or None."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.api_key(hashed))
        return None if text is None else API_KEY.validate_json(text)

    async def list(self, project_id: str) -> tuple[ApiKeyView, ...]:
        """Return all API keys of a project, newest first."""
        async with self._connection.commands() as redis:
            hashes = await redis.zrevrange(keys.api_keys(project_id), 0, -1)
            if not hashes:
                return ()
            texts = await redis.mget([keys.api_key(hashed) for hashed in hashes])
            found = await parsed([text for text in texts if text is not None], API_KEY.validate_json)
            used = await redis.mget([keys.api_key_use(key.id) for key in found])
        return tuple(
            ApiKeyView(key, None if at is None else datetime.fromisoformat(at))
            for key, at in zip(found, used, strict=True)
        )

    async def mark_used(self, key_id: str, at: datetime) -> None:
        """Note when an API key was last used."""
        async with self._connection.commands() as redis:
            await redis.set(keys.api_key_use(key_id), at.isoformat())
