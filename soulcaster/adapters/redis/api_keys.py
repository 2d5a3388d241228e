"""API keys in Redis: their values and their reader."""

from datetime import datetime

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.slices import parsed
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.api_keys import KEPT_KEYS, ApiKey
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
        """Return the API keys of a project, newest first."""
        async with self._connection.commands() as redis:
            hashes = await redis.zrevrange(keys.api_keys(project_id), 0, KEPT_KEYS - 1)
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


async def forget_ended(redis: Commands, project_id: str, at: datetime) -> None:
    """Delete the oldest API keys of a project that stand no more, where there are more than are kept."""
    index = keys.api_keys(project_id)
    pipe = redis.pipeline()
    count = pipe.zcard(index)
    oldest = pipe.zlowest(index, KEPT_KEYS)
    await pipe.execute()
    excess = count.value - KEPT_KEYS
    if excess <= 0:
        return
    texts = await redis.mget([keys.api_key(hashed) for hashed in oldest.value])
    found = [API_KEY.validate_json(text) for text in texts if text is not None]
    if ended := [key for key in found if not key.stands(at)][:excess]:
        transaction = redis.transaction()
        transaction.zrem(index, *(key.hash for key in ended))
        transaction.delete(*(keys.api_key(key.hash) for key in ended), *(keys.api_key_use(key.id) for key in ended))
        await transaction.execute()
