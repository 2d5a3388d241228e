"""Settings of projects as the read model shows them."""

from typing import Protocol

from soulcaster.wire.project_config import StoredConfig


class ProjectConfigReader(Protocol):
    """Reads settings, and claims the next version of them.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def get(self, project_id: str) -> StoredConfig:
        """Return a project's settings; the defaults as version 0 where none were set."""

    async def claim(self, project_id: str, version: int) -> bool:
        """Claim a version for the caller that is about to set it; return False where another has claimed it.

        A claim expires after minutes. It is not on Kafka; a lost claim loses nothing.
        """

    async def release(self, project_id: str, version: int) -> None:
        """Give up a claim, so that the version can be claimed again."""
