"""API keys as the read model shows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.domain.api_keys import ApiKey


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """An API key and when it was last used."""

    key: ApiKey
    last_used_at: datetime | None = None


class ApiKeyReader(Protocol):
    """Reads API keys, and notes when one is used.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def get(self, hashed: str) -> ApiKey | None:
        """Return the API key whose secret has this hash, revoked or not, or None."""

    async def list(self, project_id: str) -> tuple[ApiKeyView, ...]:
        """Return all API keys of a project, newest first."""

    async def mark_used(self, key_id: str, at: datetime) -> None:
        """Note when an API key was last used. Not on Kafka: a rebuild keeps the note, a lost Redis loses it."""
