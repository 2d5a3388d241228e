"""How much a project may store: whoever may post could fill the read model, and then no project has any."""

import time
from collections.abc import Callable

import structlog
from cachetools import TTLCache

from soulcaster.errors import QuotaExceeded, Unavailable
from soulcaster.ports.projects import StoredBytes
from soulcaster.services.project_config import CACHED_MOST, CACHED_SECONDS

log = structlog.get_logger(__name__)

MEGABYTE = 1024 * 1024


class StorageLimit:
    """Knows which projects store as much as they may; what it knows is up to `CACHED_SECONDS` old."""

    def __init__(self, stored: StoredBytes, most: int, ticks: Callable[[], float] = time.monotonic) -> None:
        """`most` is in bytes, counted as `ports.projects` says; `ticks` is a monotonic clock in seconds."""
        self.most = most
        self._stored = stored
        self._cache: TTLCache[str, int] = TTLCache(CACHED_MOST, CACHED_SECONDS, timer=ticks)

    @property
    def reason(self) -> str:
        """Return why feedback is refused, in words for whoever sent it."""
        return (
            f"The project stores {self.most // MEGABYTE:,} MB or more "
            "(SOULCASTER_PROJECT_STORED_MEGABYTES). Delete some, or have the limit raised, and send this again"
        )

    async def is_full(self, project_id: str) -> bool:
        """Return whether a project may store nothing more.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await self._bytes(project_id) >= self.most

    async def check(self, project_id: str) -> None:
        """Return if a project may store more, or nobody can tell now: the agent `normalize` asks again.

        Raises:
            QuotaExceeded: it may not.
        """
        try:
            stored = await self._bytes(project_id)
        except Unavailable as error:  # what comes in needs Kafka alone
            log.warning("accepted without knowing what the project stores", project=project_id, cause=str(error))
            return
        if stored >= self.most:
            raise QuotaExceeded(self.reason, stored, self.most)

    async def _bytes(self, project_id: str) -> int:
        found = self._cache.get(project_id)
        if found is None:
            found = self._cache[project_id] = await self._stored.stored_bytes(project_id)
        return found
