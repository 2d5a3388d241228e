"""The briefs and plans of jobs as the read model has them."""

from typing import Protocol

from soulcaster.domain.fixes.document import Document


class DocumentReader(Protocol):
    """Reads documents.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def get(self, project_id: str, document_id: str) -> Document | None:
        """Return a document, or None."""

    async def newest_plan(self, project_id: str, cluster_id: str) -> Document | None:
        """Return the newest plan of a cluster, None where it has none; an alias is resolved."""
