"""Sources of feedback as the read model shows them."""

from typing import Protocol

from soulcaster.domain.source_state import RepositoryState, SourceState


class SourceReader(Protocol):
    """Reads the state of sources and of repositories at GitHub.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def list(self, project_id: str) -> tuple[SourceState, ...]:
        """Return every source that has sent items, reported or been kicked, by name."""

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return how far the issues of "owner/name" (in any case) have been read, or None."""

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return how far each repository's issues have been read, by name."""
