"""Webhook secrets as the read model shows them."""

from typing import Protocol

from soulcaster.domain.webhook_secrets import WebhookSecret


class WebhookSecretReader(Protocol):
    """Reads webhook secrets, sealed as they are stored.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def list(self, project_id: str) -> tuple[WebhookSecret, ...]:
        """Return the webhook secrets of a project, newest first, without the removed ones."""
