"""Notices in Redis: a stream for each project."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.typed import Pipeline
from soulcaster.domain.events import ClusterEvent, ClusteringStatus, CommandDone
from soulcaster.ports.notices import NO_NOTICE, CommandNotice, Notice

NOTICES_KEPT = 500
"""Notices of a project that its stream keeps, about."""

NOTICE_CLUSTERS = 50
"""Clusters that one notice names."""

_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)


class RedisNotices:
    """NoticeReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def after(self, positions: Mapping[str, str], *, limit: int) -> Mapping[str, Sequence[tuple[str, Notice]]]:
        """Return what came after an id, by project."""
        if not positions:
            return {}
        projects = {keys.notices(project_id): project_id for project_id in positions}
        async with self._connection.commands() as redis:
            found = await redis.xread({key: positions[project_id] for key, project_id in projects.items()}, count=limit)
        return {
            projects[key]: [(notice_id, _NOTICE.validate_json(fields["notice"])) for notice_id, fields in entries]
            for key, entries in found
        }

    async def span(self, project_id: str) -> tuple[str, str]:
        """Return the ids of a project's oldest and newest notice."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            oldest = pipe.xfirst(keys.notices(project_id))
            newest = pipe.xlast(keys.notices(project_id))
            await pipe.execute()
        if not (oldest.value and newest.value):
            return NO_NOTICE, NO_NOTICE
        return oldest.value[0][0], newest.value[0][0]


class NoticeWriter:
    """Adds notices to the pipelines that write; does nothing where they are off, as in a rebuild."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def add(self, pipe: Pipeline, project_id: str, notice: Notice) -> None:
        """Add a notice behind the writes in a pipeline, so that a client that reads the notice finds them."""
        if self._enabled and notice != Notice():
            text = _NOTICE.dump_json(notice, exclude_defaults=True)
            pipe.xadd(keys.notices(project_id), {"notice": text}, keep=NOTICES_KEPT)


def cluster_notice(clusters: Collection[str], events: Sequence[ClusterEvent] = ()) -> Notice:
    """Return the notice of changed clusters, and of the events that changed them."""
    commands = {e.command_id: CommandNotice(e.command_id, e.outcome) for e in events if isinstance(e, CommandDone)}
    states = [e.state for e in events if isinstance(e, ClusteringStatus)]
    return Notice(
        clusters=tuple(sorted(clusters)[:NOTICE_CLUSTERS]),
        more_clusters=len(clusters) > NOTICE_CLUSTERS,
        commands=tuple(commands.values()),
        clustering=states[-1] if states else None,
    )
