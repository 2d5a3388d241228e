"""The read model in Redis: what pages and API read, made from feedback.items, cluster.events, job.events, control.

Keys (`{p}` a project's id, `{c}` a cluster's):

| key | type | holds |
|---|---|---|
| feedback:{p}:{id} | string | the item, JSON |
| feedback:created:{p} | zset | item ids by created_at, epoch seconds |
| feedback:source:{p}:{source} | zset | the same, of one source |
| feedback:sources:{p} | set | the sources there are |
| feedback:external:{p}:{source}:{external_id} | string | the item's id |
| feedback:unclustered:{p} | set | ids of items in no cluster yet |
| feedback:cluster:{p} | hash | item id -> cluster id |
| cluster:{p}:{c} | hash | title, summary, size, sources, times; status from jobs |
| cluster:items:{p}:{c} | zset | item ids by created_at |
| clusters:{p}:all | zset | cluster ids by created_at |
| clusters:{p}:ranked | zset | cluster ids by size, those of a size by created_at |
| job:{id}, job:{id}:logs | hash | the job; its log lines by step |
| jobs:{p}, cluster:jobs:{c} | zset | job ids by created_at |
| projects, project:{p} | set, hash | the projects; name and created_at |
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import hiredis
from pydantic import TypeAdapter
from redis.asyncio import Connection, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from yarl import URL

from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned
from soulcaster.domain.feedback import FeedbackItem
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStep, advance, cluster_status, start
from soulcaster.errors import IllegalTransition, RedisUnavailable
from soulcaster.ports import ClusterView, FeedbackView, Page, Project, Stats

TIMEOUT_SECONDS = 5.0

_ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)
_JOB: TypeAdapter[Job] = TypeAdapter(Job)


class _Connection(Connection):
    """A connection that packs commands in C, as redis-py's blocking one does: a batch has thousands of arguments."""

    def pack_command(self, *args: Any) -> list[bytes]:
        name = str(args[0])
        words = tuple(name.split()) if " " in name else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]


class RedisReadModel:
    """ReadModel over one Redis; safe to use from many tasks."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call connects."""
        self._address = URL(url).with_password(None).human_repr()  # what an error may name
        self._redis: Redis = Redis.from_url(
            url,
            connection_class=_Connection,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            decode_responses=True,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Redis]:
        try:
            yield self._redis
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise RedisUnavailable(f"Redis at {self._address} does not answer ({error})") from error
        except ResponseError as error:
            if _passes(error):
                raise RedisUnavailable(f"Redis at {self._address} cannot serve now ({error})") from error
            raise

    async def ping(self) -> None:
        """Return when Redis answers."""
        async with self._answering() as redis:
            await redis.ping()

    # ---- writes, by agents/project alone -------------------------------------------------------------------------

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items in one round trip, after one that asks which of them are assigned already."""
        newest = {item.id: item for item in items}
        if not newest:
            return
        p = project_id
        by_source: dict[str, dict[str, float]] = defaultdict(dict)
        created: dict[str, float] = {}
        strings: dict[str, str | bytes] = {}
        for item in newest.values():
            at = item.created_at.timestamp()
            created[item.id] = at
            by_source[item.source][item.id] = at
            strings[f"feedback:{p}:{item.id}"] = _ITEM.dump_json(item)
            strings[f"feedback:external:{p}:{item.source}:{item.external_id}"] = item.id
        async with self._answering() as redis:
            ids = list(newest)
            assigned = await cast(Awaitable[list[str | None]], redis.hmget(f"feedback:cluster:{p}", ids))
            waiting = [i for i, cluster in zip(ids, assigned, strict=True) if cluster is None]
            pipe = redis.pipeline(transaction=False)
            pipe.mset(cast(Any, strings))
            pipe.zadd(f"feedback:created:{p}", created)
            for source, members in by_source.items():
                pipe.zadd(f"feedback:source:{p}:{source}", members)
            pipe.sadd(f"feedback:sources:{p}", *by_source)
            if waiting:
                pipe.sadd(f"feedback:unclustered:{p}", *waiting)
            pipe.sadd("projects", p)
            await pipe.execute()

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply events; the last word on an item or a cluster is the one that counts, so only that is written."""
        assigned = {e.item_id: e for e in events if isinstance(e, ItemAssigned)}
        changed = {e.cluster_id: e for e in events if isinstance(e, ClusterChanged)}
        p = project_id
        async with self._answering() as redis:
            members: dict[str, dict[str, float]] = defaultdict(dict)
            for event in assigned.values():
                members[event.cluster_id][event.item_id] = event.item_created_at.timestamp()
            # Clusters that items passed through in these events have been left, too.
            left = {e.cluster_id for e in events if isinstance(e, ItemAssigned)} - set(members)
            left |= await self._leave(redis, p, assigned)
            pipe = redis.pipeline(transaction=False)
            for cluster_id, at in members.items():
                pipe.zadd(f"cluster:items:{p}:{cluster_id}", at)
            if changed:
                for cluster_id, cluster in changed.items():
                    pipe.hset(f"cluster:{p}:{cluster_id}", mapping=_cluster_fields(cluster))
                pipe.zadd(f"clusters:{p}:all", {c: e.created_at.timestamp() for c, e in changed.items()})
                pipe.zadd(f"clusters:{p}:ranked", {c: _rank(e) for c, e in changed.items()})
            pipe.sadd("projects", p)
            if left:
                await pipe.execute()
                await self._forget_empty(redis, p, sorted(left))
            if assigned:
                # Last, for it says what will have been left: cut off before it, the same events do it all again.
                pipe.srem(f"feedback:unclustered:{p}", *assigned)
                pipe.hset(f"feedback:cluster:{p}", mapping={i: e.cluster_id for i, e in assigned.items()})
            await pipe.execute()

    async def _leave(self, redis: Redis, p: str, assigned: Mapping[str, ItemAssigned]) -> set[str]:
        """Take items out of the clusters they were in; return those clusters."""
        if not assigned:
            return set()
        before = await cast(Awaitable[list[str | None]], redis.hmget(f"feedback:cluster:{p}", list(assigned)))
        moved = defaultdict(list)
        for old, event in zip(before, assigned.values(), strict=True):
            if old is not None and old != event.cluster_id:
                moved[old].append(event.item_id)
        for cluster_id, items in moved.items():
            await redis.zrem(f"cluster:items:{p}:{cluster_id}", *items)
        return set(moved)

    async def _forget_empty(self, redis: Redis, p: str, clusters: Sequence[str]) -> None:
        """Take clusters whose last item has moved elsewhere out of the lists."""
        for cluster_id in clusters:
            if not await redis.zcard(f"cluster:items:{p}:{cluster_id}"):
                pipe = redis.pipeline()
                pipe.delete(f"cluster:{p}:{cluster_id}")
                pipe.zrem(f"clusters:{p}:all", cluster_id)
                pipe.zrem(f"clusters:{p}:ranked", cluster_id)
                await pipe.execute()

    async def put_job(self, step: JobStep) -> None:
        """Apply a step; its log line is kept by its number, so that a second delivery overwrites itself."""
        async with self._answering() as redis:
            known = await cast(Awaitable[dict[str, str]], redis.hgetall(f"job:{step.job_id}"))
            try:
                job = advance(_job(known), step) if known else start(step)
            except IllegalTransition:
                return  # seen before, or late: the job stands as it is
            at = job.created_at.timestamp()
            pipe = redis.pipeline()
            pipe.hset(f"job:{job.id}", mapping=_job_fields(job))
            if step.log is not None:
                pipe.hset(f"job:{job.id}:logs", mapping={str(step.seq): step.log})
            pipe.zadd(f"jobs:{job.project_id}", {job.id: at})
            pipe.zadd(f"cluster:jobs:{job.cluster_id}", {job.id: at})
            await pipe.execute()

    async def put_project(self, project: Project) -> None:
        """Store a project's name."""
        async with self._answering() as redis:
            pipe = redis.pipeline()
            fields = {"name": project.name}
            if project.created_at is not None:
                fields["created_at"] = project.created_at.isoformat()
            pipe.hset(f"project:{project.id}", mapping=cast(Any, fields))
            pipe.sadd("projects", project.id)
            await pipe.execute()

    # ---- reads ---------------------------------------------------------------------------------------------------

    async def projects(self) -> tuple[Project, ...]:
        """Return every project, by name."""
        async with self._answering() as redis:
            ids = sorted(await cast(Awaitable[set[str]], redis.smembers("projects")))
            pipe = redis.pipeline(transaction=False)
            for i in ids:
                pipe.hgetall(f"project:{i}")
            found = [_project(i, fields) for i, fields in zip(ids, await pipe.execute(), strict=True)]
        return tuple(sorted(found, key=lambda project: project.name.casefold()))

    async def project(self, id_or_name: str) -> Project | None:
        """Return the project of that id, else the oldest of that name, else None."""
        async with self._answering() as redis:
            if await cast(Awaitable[int], redis.sismember("projects", id_or_name)):
                fields = await cast(Awaitable[dict[str, str]], redis.hgetall(f"project:{id_or_name}"))
                return _project(id_or_name, fields)
        named = [project for project in await self.projects() if project.name == id_or_name]
        return min(named, key=lambda project: project.created_at or datetime.max.replace(tzinfo=UTC), default=None)

    async def feedback(
        self,
        project_id: str,
        *,
        source: str | None = None,
        cluster_id: str | None = None,
        limit: int,
        offset: int,
    ) -> Page[FeedbackView]:
        """Return items, newest first; a source within a cluster is asked of the cluster's page, item by item."""
        p = project_id
        if cluster_id is not None:
            key = f"cluster:items:{p}:{cluster_id}"
        elif source is not None:
            key = f"feedback:source:{p}:{source}"
        else:
            key = f"feedback:created:{p}"
        async with self._answering() as redis:
            if cluster_id is not None and source is not None:
                both = f"feedback:source:{p}:{source}"
                shared = cast(list[str], await redis.zinter([key, both], aggregate="MAX"))
                ids, total = shared[::-1][offset : offset + limit], len(shared)
            else:
                ids, total = await self._page(redis, key, limit, offset)
            return Page(await self._items(redis, p, ids), total)

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""
        async with self._answering() as redis:
            found = await self._items(redis, project_id, [item_id])
        return found[0] if found else None

    async def clusters(self, project_id: str, *, limit: int, offset: int) -> Page[ClusterView]:
        """Return clusters, largest first."""
        async with self._answering() as redis:
            ids, total = await self._page(redis, f"clusters:{project_id}:ranked", limit, offset)
            return Page(await self._clusters(redis, project_id, ids), total)

    async def cluster(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""
        async with self._answering() as redis:
            found = await self._clusters(redis, project_id, [cluster_id])
        return found[0] if found else None

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures; statuses are counted over the clusters that have had a job."""
        p = project_id
        async with self._answering() as redis:
            sources = sorted(await cast(Awaitable[set[str]], redis.smembers(f"feedback:sources:{p}")))
            pipe = redis.pipeline(transaction=False)
            pipe.zcard(f"feedback:created:{p}")
            pipe.scard(f"feedback:unclustered:{p}")
            pipe.zcard(f"clusters:{p}:ranked")
            pipe.zrange(f"jobs:{p}", 0, -1)
            for source in sources:
                pipe.zcard(f"feedback:source:{p}:{source}")
            total, unclustered, clusters, job_ids, *counts = await pipe.execute()
            newest = _newest_by_cluster(await self._jobs(redis, job_ids))
            known = await redis.zmscore(f"clusters:{p}:ranked", list(newest)) if newest else []
        by_status: dict[str, int] = defaultdict(int)
        for job, rank in zip(newest.values(), known, strict=True):
            if rank is not None:  # a job may be known before its cluster is
                by_status[cluster_status(job)] += 1
        by_status["new"] = clusters - sum(n for status, n in by_status.items() if status != "new")
        return Stats(
            total,
            unclustered,
            clusters,
            dict(zip(sources, counts, strict=True)),
            dict(by_status),
            len(job_ids),
        )

    async def jobs(self, project_id: str, *, cluster_id: str | None = None, limit: int, offset: int) -> Page[Job]:
        """Return jobs, newest first."""
        key = f"jobs:{project_id}" if cluster_id is None else f"cluster:jobs:{cluster_id}"
        async with self._answering() as redis:
            ids, total = await self._page(redis, key, limit, offset)
            found = await self._jobs(redis, ids)
        return Page(tuple(job for job in found if job.project_id == project_id), total)

    async def job(self, job_id: str) -> Job | None:
        """Return one job, or None."""
        async with self._answering() as redis:
            found = await self._jobs(redis, [job_id])
        return found[0] if found else None

    async def job_logs(self, job_id: str) -> tuple[str, ...]:
        """Return a job's log lines in order."""
        async with self._answering() as redis:
            lines = await cast(Awaitable[dict[str, str]], redis.hgetall(f"job:{job_id}:logs"))
        return tuple(lines[seq] for seq in sorted(lines, key=int))

    async def _page(self, redis: Redis, key: str, limit: int, offset: int) -> tuple[list[str], int]:
        pipe = redis.pipeline(transaction=False)
        pipe.zrevrange(key, offset, offset + limit - 1)
        pipe.zcard(key)
        ids, total = await pipe.execute()
        return ids, total

    async def _items(self, redis: Redis, p: str, ids: Sequence[str]) -> tuple[FeedbackView, ...]:
        if not ids:
            return ()
        pipe = redis.pipeline(transaction=False)
        pipe.mget([f"feedback:{p}:{i}" for i in ids])
        pipe.hmget(f"feedback:cluster:{p}", list(ids))
        texts, clusters = await pipe.execute()
        return tuple(
            FeedbackView(_ITEM.validate_json(text), cluster)
            for text, cluster in zip(texts, clusters, strict=True)
            if text is not None
        )

    async def _clusters(self, redis: Redis, p: str, ids: Sequence[str]) -> tuple[ClusterView, ...]:
        if not ids:
            return ()
        pipe = redis.pipeline(transaction=False)
        for i in ids:
            pipe.hgetall(f"cluster:{p}:{i}")
            pipe.zrevrange(f"cluster:jobs:{i}", 0, 0)
        answers = await pipe.execute()
        newest = {job.cluster_id: job for job in await self._jobs(redis, [j for jobs in answers[1::2] for j in jobs])}
        return tuple(
            _cluster(p, i, fields, newest.get(i)) for i, fields in zip(ids, answers[0::2], strict=True) if fields
        )

    async def _jobs(self, redis: Redis, ids: Sequence[str]) -> tuple[Job, ...]:
        pipe = redis.pipeline(transaction=False)
        for i in ids:
            pipe.hgetall(f"job:{i}")
        return tuple(_job(fields) for fields in await pipe.execute() if fields)


def _passes(error: ResponseError) -> bool:
    """Tell whether the server is there but cannot serve now: full, read-only, or with a disk it cannot write.

    redis-py has classes of their own for some codes, and takes the code off the text; of a pipeline's error the text
    starts with the command, which holds anyone's words, and the server's own text comes last.
    """
    if isinstance(error, OutOfMemoryError | ReadOnlyError):
        return True
    said = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    return said.split(" ", 1)[0] in {"MISCONF", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"}


def _newest_by_cluster(jobs: Sequence[Job]) -> dict[str, Job]:
    return {job.cluster_id: job for job in sorted(jobs, key=lambda job: job.created_at)}


def _rank(cluster: ClusterChanged) -> float:
    """Return what ranks a cluster: its size and, as a fraction of one, its age (2 ** 33 seconds is the year 2242)."""
    at = min(max(cluster.created_at.timestamp(), 0.0), 2.0**33 - 1)
    return cluster.size + at / 2**33


def _cluster_fields(cluster: ClusterChanged) -> dict[Any, Any]:
    return {
        "title": cluster.title,
        "summary": cluster.summary,
        "size": cluster.size,
        "sources": json.dumps(cluster.sources),
        "created_at": cluster.created_at.isoformat(),
        "updated_at": cluster.updated_at.isoformat(),
    }


def _cluster(p: str, cluster_id: str, fields: dict[str, str], job: Job | None) -> ClusterView:
    status: ClusterStatus = cluster_status(job) if job else "new"
    updated = datetime.fromisoformat(fields["updated_at"])
    return ClusterView(
        project_id=p,
        id=cluster_id,
        title=fields["title"],
        summary=fields["summary"],
        status=status,
        size=int(fields["size"]),
        sources=tuple(json.loads(fields["sources"])),
        created_at=datetime.fromisoformat(fields["created_at"]),
        updated_at=max(updated, job.updated_at) if job else updated,
        github_pr_url=job.pr_url if job else None,
        error_message=job.error if job else None,
    )


def _job_fields(job: Job) -> dict[Any, Any]:
    return {name: value for name, value in _JOB.dump_python(job, mode="json").items() if value is not None}


def _job(fields: dict[str, str]) -> Job:
    return _JOB.validate_python(fields)


def _project(project_id: str, fields: dict[str, str]) -> Project:
    created = fields.get("created_at")
    return Project(project_id, fields.get("name", project_id), datetime.fromisoformat(created) if created else None)
