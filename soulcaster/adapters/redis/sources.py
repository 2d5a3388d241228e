"""The state of sources and of GitHub's repositories in Redis: values and reader."""

from datetime import UTC, datetime

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.domain.source_state import RepositoryState, SourceReport, SourceState

REPORT: TypeAdapter[SourceReport] = TypeAdapter(SourceReport)
REPOSITORY: TypeAdapter[RepositoryState] = TypeAdapter(RepositoryState)

REPORT_PREFIX = "report:"
KICK_PREFIX = "kick:"


class RedisSources:
    """SourceReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def list(self, project_id: str) -> tuple[SourceState, ...]:
        """Return every source that has sent items, reported or been kicked, by name."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            stored = pipe.hgetall(keys.sources(project_id))
            scored = pipe.zscored(keys.received(project_id))
            await pipe.execute()
        received = {source: datetime.fromtimestamp(score, UTC) for source, score in scored.value}
        reports = _with_prefix(stored.value, REPORT_PREFIX)
        kicks = _with_prefix(stored.value, KICK_PREFIX)
        return tuple(
            SourceState(
                source,
                received.get(source),
                datetime.fromisoformat(kicks[source]) if source in kicks else None,
                REPORT.validate_json(reports[source]) if source in reports else None,
            )
            for source in sorted({*received, *reports, *kicks})
        )

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return how far the issues of "owner/name" (in any case) have been read, or None."""
        async with self._connection.commands() as redis:
            text = await redis.hget(keys.repositories(project_id), repository.lower())
        return None if text is None else REPOSITORY.validate_json(text)

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return how far each repository's issues have been read, by name."""
        async with self._connection.commands() as redis:
            found = await redis.hgetall(keys.repositories(project_id))
        return tuple(REPOSITORY.validate_json(found[name]) for name in sorted(found))


def _with_prefix(fields: dict[str, str], prefix: str) -> dict[str, str]:
    """Return the fields whose names have a prefix, without it."""
    return {name.removeprefix(prefix): text for name, text in fields.items() if name.startswith(prefix)}
