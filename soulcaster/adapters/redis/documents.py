"""Documents in Redis: their values and their reader."""

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import resolve
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.fixes.document import Document

DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


class RedisDocuments:
    """DocumentReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def get(self, project_id: str, document_id: str) -> Document | None:
        """Return a document, or None."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.document(project_id, document_id))
        return None if text is None else DOCUMENT.validate_json(text)

    async def newest_plan(self, project_id: str, cluster_id: str) -> Document | None:
        """Return the newest plan of a cluster, None where it has none."""
        async with self._connection.commands() as redis:
            newest = await redis.get(keys.cluster_plan(project_id, await resolve(redis, project_id, cluster_id)))
        return None if newest is None else await self.get(project_id, newest)
