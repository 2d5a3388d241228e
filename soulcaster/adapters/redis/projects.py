"""Projects in Redis: their values and their reader."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import get_args

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.cluster_lists import ORDERS, status_label
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.typed import Commands, Pipeline, Value
from soulcaster.domain.lifecycle import ClusterStatus
from soulcaster.ports.projects import Project, ProjectClaim, Stats, Totals

STATUSES: tuple[ClusterStatus, ...] = get_args(ClusterStatus)

COUNTED_AT_ONCE = 500
"""Projects that one pipeline counts."""

READ_AT_ONCE = 500
"""Projects that one pipeline reads."""

CLAIM_EXPIRES = timedelta(minutes=5)
"""Longer than it takes to store a project, unless the worker is down."""

_CLAIM: TypeAdapter[ProjectClaim] = TypeAdapter(ProjectClaim)

_LAST = datetime.max.replace(tzinfo=UTC)


def project_fields(project: Project) -> dict[str, Value]:
    """Return the hash of a project; what is not known is left out."""
    fields: dict[str, Value] = {"name": project.name}
    if project.created_at is not None:
        fields["created_at"] = project.created_at.isoformat()
    if project.created_by is not None:
        fields["created_by"] = project.created_by
    return fields


def _project(project_id: str, fields: Mapping[str, str]) -> Project:
    """Return the project of a hash."""
    created = fields.get("created_at")
    return Project(
        project_id,
        fields.get("name", project_id),
        datetime.fromisoformat(created) if created else None,
        fields.get("created_by"),
    )


class RedisProjects:
    """ProjectReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def get(self, project_id: str) -> Project | None:
        """Return the project with this id, or None."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            is_known = pipe.sismember(keys.projects(), project_id)
            fields = pipe.hgetall(keys.project(project_id))
            await pipe.execute()
        return _project(project_id, fields.value) if is_known.value else None

    async def find(self, id_or_name: str) -> Project | None:
        """Return the project with this id, else the oldest with this name, else None; names have no index."""
        if (known := await self.get(id_or_name)) is not None:
            return known
        named = [project for project in await self.list() if project.name == id_or_name]
        return min(named, key=lambda project: project.created_at or _LAST, default=None)

    async def list(self) -> tuple[Project, ...]:
        """Return all projects, by name."""
        async with self._connection.commands() as redis:
            return await _read(redis, await redis.smembers(keys.projects()))

    async def among(self, project_ids: Sequence[str]) -> tuple[int, Set[str]]:
        """Return how many projects there are, and which of these ids, at least one, are of one."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            count = pipe.scard(keys.projects())
            are_known = pipe.smismember(keys.projects(), project_ids)
            await pipe.execute()
        return count.value, {id_ for id_, is_known in zip(project_ids, are_known.value, strict=True) if is_known}

    async def of_user(self, user_id: str) -> tuple[Project, ...]:
        """Return all projects of which a user is a member, by name."""
        async with self._connection.commands() as redis:
            return await _read(redis, await redis.hkeys(keys.memberships(user_id)))

    async def stats(self, project_id: str) -> Stats:
        """Return a project's counts; zeros where the project is unknown."""
        [stats] = await self.stats_of([project_id])
        return stats

    async def stats_of(self, project_ids: Sequence[str]) -> tuple[Stats, ...]:
        """Return the counts of each of these projects, in two round trips."""
        async with self._connection.commands() as redis:
            pipe = redis.pipeline()
            sources = [pipe.smembers(keys.item_sources(project_id)) for project_id in project_ids]
            await pipe.execute()
            counts = [
                _Counts(pipe, project_id, sorted(of.value)) for project_id, of in zip(project_ids, sources, strict=True)
            ]
            await pipe.execute()
        return tuple(of.stats() for of in counts)

    async def stored_bytes(self, project_id: str) -> int:
        """Return what a project counts, as `Stats.stored_bytes` says."""
        async with self._connection.commands() as redis:
            return _number(await redis.get(keys.stored_bytes(project_id)))

    async def totals(self) -> Totals:
        """Return the counts of all projects together."""
        items = unclustered = clusters = stored = largest = 0
        async with self._connection.commands() as redis:
            project_ids = sorted(await redis.smembers(keys.projects()))
            waiting = redis.pipeline()
            queued = waiting.scard(keys.queued_jobs())
            await waiting.execute()
            for at in range(0, len(project_ids), COUNTED_AT_ONCE):
                of_some = project_ids[at : at + COUNTED_AT_ONCE]
                pipe = redis.pipeline()
                sizes = pipe.mget([keys.stored_bytes(project_id) for project_id in of_some])
                counts = [
                    (
                        pipe.zcard(keys.items_by_time(project_id)),
                        pipe.scard(keys.unclustered(project_id)),
                        pipe.zcard(keys.clusters(project_id, ORDERS["largest"])),
                    )
                    for project_id in of_some
                ]
                await pipe.execute()
                items += sum(count.value for count, _, _ in counts)
                unclustered += sum(count.value for _, count, _ in counts)
                clusters += sum(count.value for _, _, count in counts)
                stored += sum(map(_number, sizes.value))
                largest = max(largest, *map(_number, sizes.value))
        return Totals(items, unclustered, clusters, queued.value, stored, largest)

    async def claim(self, claim: ProjectClaim) -> ProjectClaim:
        """Claim a project's id for some minutes; return the claim that holds, which may be somebody else's."""
        key = keys.project_claim(claim.project.id)
        async with self._connection.commands() as redis:
            if await redis.set_new(key, _CLAIM.dump_json(claim), expires=CLAIM_EXPIRES):
                return claim
            holding = await redis.get(key)
        return claim if holding is None else _CLAIM.validate_json(holding)


class _Counts:
    """The counts of a project, asked for in a pipeline."""

    def __init__(self, pipe: Pipeline, project_id: str, sources: Sequence[str]) -> None:
        """Add the commands; `stats` is to be called once the pipeline has run."""
        by_size = ORDERS["largest"]
        self._items = pipe.zcard(keys.items_by_time(project_id))
        self._unclustered = pipe.scard(keys.unclustered(project_id))
        self._clusters = pipe.zcard(keys.clusters(project_id, by_size))
        self._jobs = pipe.zcard(keys.jobs(project_id))
        self._stored = pipe.mget([keys.stored_bytes(project_id)])
        self._by_status = {
            status: pipe.zcard(keys.clusters_labelled(project_id, by_size, status_label(status))) for status in STATUSES
        }
        self._by_source = {source: pipe.zcard(keys.items_of_source(project_id, source)) for source in sources}

    def stats(self) -> Stats:
        """Return the counts; of the statuses those that occur, and "new"."""
        return Stats(
            self._items.value,
            self._unclustered.value,
            self._clusters.value,
            {source: count.value for source, count in self._by_source.items()},
            {status: count.value for status, count in self._by_status.items() if count.value or status == "new"},
            self._jobs.value,
            _number(self._stored.value[0]),
        )


def _number(text: str | None) -> int:
    """Return a count; it may be below 0 where items were deleted that were stored before they were counted."""
    return 0 if text is None else max(0, int(text))


async def _read(redis: Commands, project_ids: Iterable[str]) -> tuple[Project, ...]:
    """Return projects by name, those of a name by id."""
    ids = sorted(project_ids)
    projects: list[Project] = []
    for first in range(0, len(ids), READ_AT_ONCE):
        pipe = redis.pipeline()
        found = {project_id: pipe.hgetall(keys.project(project_id)) for project_id in ids[first : first + READ_AT_ONCE]}
        await pipe.execute()
        projects += [_project(project_id, fields.value) for project_id, fields in found.items()]
    return tuple(sorted(projects, key=lambda project: project.name.casefold()))
