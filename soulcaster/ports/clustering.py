"""How a project is clustered: state, settings, proposals, themes."""

from typing import Protocol

from soulcaster.domain.events import ClusteringConfigured, ClusteringStatus, Proposal, Theme


class ClusteringReader(Protocol):
    """Reads what the clusterer last said about a project.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def status(self, project_id: str) -> ClusteringStatus | None:
        """Return the state of the project's clustering, or None before the first report."""

    async def config(self, project_id: str) -> ClusteringConfigured | None:
        """Return threshold and granularity as the clusterer uses them, or None before the first report."""

    async def proposals(self, project_id: str) -> tuple[Proposal, ...]:
        """Return merges and splits to offer to a person, the likeliest first."""

    async def themes(self, project_id: str) -> tuple[Theme, ...]:
        """Return the themes, the largest first."""
