"""Webhook secrets in Redis: their values and their reader."""

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.webhook_secrets import WebhookSecret

SECRET: TypeAdapter[WebhookSecret] = TypeAdapter(WebhookSecret)


class RedisWebhookSecrets:
    """WebhookSecretReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def list(self, project_id: str) -> tuple[WebhookSecret, ...]:
        """Return the webhook secrets of a project, newest first, without the removed ones."""
        async with self._connection.commands() as redis:
            texts = await redis.hvals(keys.webhook_secrets(project_id))
        secrets = map(SECRET.validate_json, texts)
        return tuple(sorted(secrets, key=lambda secret: (secret.created_at, secret.id), reverse=True))
