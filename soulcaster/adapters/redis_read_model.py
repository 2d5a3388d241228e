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
| feedback:cluster:{p} | hash | item id -> id of the cluster it was assigned to, which may have been merged since |
| deleted:{p} | set | ids of items that were deleted: none of their versions comes back |
| assignments:{p} | hash | item id -> why it was assigned, JSON |
| cluster:{p}:{c} | hash | title, summary, size, sources, times and so on; status from jobs |
| cluster:items:{p}:{c} | zset | item ids by created_at, those of the clusters merged into it too |
| cluster:history:{p}:{c} | zset | what happened to it, JSON, by time; the newest |
| clusters:{p}:all | zset | cluster ids by created_at |
| clusters:{p}:ranked | zset | cluster ids by size, those of a size by created_at |
| clusters:{p}:triage | hash | cluster id -> muted or resolved |
| clusters:{p}:alias | hash | id of a merged cluster -> id of the one it was merged into, which may be merged itself |
| clustering:status:{p}, clustering:proposals:{p} | string | how clustering stands; what a person may want to do; JSON |
| command:{p}:{id} | string | what became of a command, JSON; for a month |
| job:{id}, job:{id}:logs | hash | the job; its log lines by step |
| jobs:{p} | zset | job ids by created_at |
| cluster:jobs:{c} | zset | the same, of one cluster, those of the clusters merged into it too |
| key:{hash}, keys:{p} | string, zset | an API key by the hash of its secret, JSON; hashes by created_at |
| used:key:{id} | string | when a key was last used; not rebuilt |
| projects, project:{p} | set, hash | the projects; name and created_at |

Two things are kept as events say them: which cluster an item was assigned to, and which cluster a cluster was merged
into. The rest follows from these: a cluster's items are those assigned to it or to any that was merged into it, and so
on down. So events that come again, from any point on, end in the same state, and a merge is undone by its alias alone.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from soulcaster.adapters.redis_client import address, redis_client
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringStatus,
    ClusterMerged,
    ClusterReopened,
    ClusterRestored,
    ClusterSplit,
    CommandDone,
    ItemAssigned,
    ItemRemoved,
    Proposal,
    ProposalsChanged,
)
from soulcaster.domain.feedback import FeedbackItem, brief
from soulcaster.domain.keys import ApiKey
from soulcaster.domain.lifecycle import Job, JobStep, Triage, advance, cluster_status, start
from soulcaster.errors import IllegalTransition, RedisUnavailable
from soulcaster.ports import (
    Assignment,
    ClusterView,
    CommandView,
    FeedbackView,
    Happening,
    HistoryEntry,
    KeyView,
    Page,
    Project,
    Stats,
)

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0

HISTORY_ENTRIES = 100

SUMMARY_CHARS = 280
"""Of the text of an item that a cluster is called by."""

_TOLD_BY_COMMAND: frozenset[str] = frozenset({"move", "rename", "pin", "mute", "resolve", "reopen"})
"""Commands that no event but their own answer tells the history of."""

COMMAND_KEPT = timedelta(days=30)

_CHUNK = 10_000
"""Members that one command moves from a cluster to another: more would keep everybody else waiting."""

_MADE_AGAIN = (
    "feedback:*", "deleted:*", "assignments:*", "cluster:*", "clusters:*", "clustering:*", "command:*", "job:*",
    "jobs:*", "key:*", "keys:*", "project:*", "projects",
)  # fmt: skip
"""The keys that are made again from Kafka, of those in the table above."""

_MERGES = 100
"""Merges that are done in one go; all their items are in memory meanwhile."""

_ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)
_KEY: TypeAdapter[ApiKey] = TypeAdapter(ApiKey)
_JOB: TypeAdapter[Job] = TypeAdapter(Job)
_ASSIGNMENT: TypeAdapter[Assignment] = TypeAdapter(Assignment)
_ENTRY: TypeAdapter[HistoryEntry] = TypeAdapter(HistoryEntry)
_COMMAND: TypeAdapter[CommandView] = TypeAdapter(CommandView)
_PROPOSALS: TypeAdapter[tuple[Proposal, ...]] = TypeAdapter(tuple[Proposal, ...])
_STATUS: TypeAdapter[ClusteringStatus] = TypeAdapter(ClusteringStatus)


class RedisReadModel:
    """ReadModel over one Redis; safe to use from many tasks."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call connects."""
        self._address = address(url)
        self._redis = redis_client(url, timeout=TIMEOUT_SECONDS)

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

    async def clear(self) -> None:
        """Delete the keys of the read model; others, as sign-in tokens and cached vectors, stay."""
        async with self._answering() as redis:
            for pattern in _MADE_AGAIN:
                found: list[str] = []
                async for key in redis.scan_iter(match=pattern, count=_CHUNK):
                    found.append(key)
                    if len(found) == _CHUNK:
                        await redis.unlink(*found)
                        found = []
                if found:
                    await redis.unlink(*found)

    async def put_items(self, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items in one round trip, after one that asks which of them are assigned already, or deleted."""
        if not items:
            return
        p = project_id
        newest = {item.id: item for item in items}
        by_source: dict[str, dict[str, float]] = defaultdict(dict)
        created: dict[str, float] = {}
        strings: dict[str, str | bytes] = {}
        async with self._answering() as redis:
            pipe = redis.pipeline(transaction=False)
            pipe.hmget(f"feedback:cluster:{p}", list(newest))
            pipe.smismember(f"deleted:{p}", list(newest))
            assigned, deleted = await pipe.execute()
            known = zip(newest.values(), assigned, deleted, strict=True)
            kept = [(item, cluster) for item, cluster, gone in known if not gone]
            for item, _ in kept:
                at = item.created_at.timestamp()
                created[item.id] = at
                by_source[item.source][item.id] = at
                strings[f"feedback:{p}:{item.id}"] = _ITEM.dump_json(item)
                strings[f"feedback:external:{p}:{item.source}:{item.external_id}"] = item.id
            waiting = [item.id for item, cluster in kept if cluster is None]
            pipe = redis.pipeline(transaction=False)
            if kept:
                pipe.mset(cast(Any, strings))
                pipe.zadd(f"feedback:created:{p}", created)
                pipe.sadd(f"feedback:sources:{p}", *by_source)
            for source, members in by_source.items():
                pipe.zadd(f"feedback:source:{p}:{source}", members)
            if waiting:
                pipe.sadd(f"feedback:unclustered:{p}", *waiting)
            pipe.sadd("projects", p)
            await pipe.execute()

    async def delete_items(self, project_id: str, item_ids: Collection[str]) -> None:
        """Take items out; where they were assigned to is kept until their removal is told of, which comes in order."""
        if item_ids:
            async with self._answering() as redis:
                await self._delete(redis, project_id, dict.fromkeys(item_ids))

    async def _delete(self, redis: Redis, p: str, items: Mapping[str, str | None]) -> None:
        """Delete items, each with the cluster that it is known to have been in."""
        ids = list(items)
        pipe = redis.pipeline(transaction=False)
        pipe.sadd(f"deleted:{p}", *ids)
        pipe.mget([f"feedback:{p}:{i}" for i in ids])
        pipe.hmget(f"feedback:cluster:{p}", ids)
        _, texts, before = await pipe.execute()
        found = [_ITEM.validate_json(text) for text in texts if text is not None]
        where: dict[str, set[str]] = defaultdict(set)
        for i, assigned in zip(ids, before, strict=True):
            for cluster_id in {assigned, items[i]} - {None}:
                where[cluster_id].add(i)
        lines = await self._lines(redis, p, where)
        pipe = redis.pipeline(transaction=False)
        for cluster_id, of_cluster in where.items():
            for of in lines[cluster_id]:
                pipe.zrem(f"cluster:items:{p}:{of}", *of_cluster)
        pipe.zrem(f"feedback:created:{p}", *ids)
        pipe.srem(f"feedback:unclustered:{p}", *ids)
        pipe.hdel(f"assignments:{p}", *ids)
        for item in found:
            pipe.zrem(f"feedback:source:{p}:{item.source}", item.id)
            pipe.delete(f"feedback:external:{p}:{item.source}:{item.external_id}")
        await pipe.execute()
        await self._forget_empty(redis, p, sorted({of for cluster_id in where for of in lines[cluster_id]}))
        sources = sorted({item.source for item in found})
        left = [await redis.zcard(f"feedback:source:{p}:{source}") for source in sources]
        pipe = redis.pipeline(transaction=False)
        for source, count in zip(sources, left, strict=True):
            if not count:
                pipe.srem(f"feedback:sources:{p}", source)
        # Last, for it says what there is to do: cut off before it, the same tombstone does it again.
        pipe.delete(*(f"feedback:{p}:{i}" for i in ids))
        await pipe.execute()

    async def apply(self, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply events in their order: as many at once as do not depend on one another."""
        async with self._answering() as redis:
            for kind, group in groupby(events, _alone):
                run = list(group)
                if kind is ClusterMerged:
                    for some in _independent(cast(list[ClusterMerged], run)):
                        await self._merge(redis, project_id, some)
                elif kind is ClusterRestored:
                    for event in cast(list[ClusterRestored], run):
                        await self._restore(redis, project_id, event)
                elif kind is ItemRemoved:
                    gone = {event.item_id: event.cluster_id for event in cast(list[ItemRemoved], run)}
                    await self._delete(redis, project_id, gone)
                    await redis.hdel(f"feedback:cluster:{project_id}", *gone)
                else:
                    await self._stand(redis, project_id, run)

    async def _stand(self, redis: Redis, p: str, events: Sequence[ClusterEvent]) -> None:
        """Apply what is told in absolute terms; the last word on each thing counts, so only that is written."""
        assigned = {e.item_id: e for e in events if isinstance(e, ItemAssigned)}
        changed = {e.cluster_id: e for e in events if isinstance(e, ClusterChanged)}
        leaving = await self._leaving(redis, p, events, assigned)
        joining: dict[str, dict[str, float]] = defaultdict(dict)
        for event in assigned.values():
            joining[event.cluster_id][event.item_id] = event.item_created_at.timestamp()
        lines = await self._lines(redis, p, {*leaving, *joining, *changed})
        pipe = redis.pipeline(transaction=False)
        for cluster_id, items in leaving.items():
            for of in lines[cluster_id]:
                pipe.zrem(f"cluster:items:{p}:{of}", *items)
        for cluster_id, at in joining.items():
            for of in lines[cluster_id]:
                pipe.zadd(f"cluster:items:{p}:{of}", at)
        # A cluster that is part of another is told of only when events come again; its merge does so, too.
        shown = {c: e for c, e in changed.items() if len(lines[c]) == 1}
        if shown:
            for cluster_id, cluster in shown.items():
                pipe.hset(f"cluster:{p}:{cluster_id}", mapping=_cluster_fields(cluster))
            triage = {c: e.triage for c, e in shown.items() if e.triage != "open"}
            if triage:
                pipe.hset(f"clusters:{p}:triage", mapping=cast(Any, triage))
            if shown.keys() - triage.keys():
                pipe.hdel(f"clusters:{p}:triage", *(shown.keys() - triage.keys()))
            pipe.zadd(f"clusters:{p}:all", {c: e.created_at.timestamp() for c, e in shown.items()})
            pipe.zadd(f"clusters:{p}:ranked", {c: _rank(e) for c, e in shown.items()})
        _tell(pipe, p, events)
        filled = {of for cluster_id in joining for of in lines[cluster_id]}
        in_doubt = ({of for cluster_id in leaving for of in lines[cluster_id]} | set(shown)) - filled
        if in_doubt:
            await pipe.execute()
            await self._forget_empty(redis, p, sorted(in_doubt))
        if assigned:
            pipe.sadd("projects", p)
            pipe.srem(f"feedback:unclustered:{p}", *assigned)
            pipe.hset(f"assignments:{p}", mapping={i: _why(e) for i, e in assigned.items()})
            # Last, for it says what will have been left: cut off before it, the same events do it all again.
            pipe.hset(f"feedback:cluster:{p}", mapping={i: e.cluster_id for i, e in assigned.items()})
        await pipe.execute()

    async def _leaving(
        self, redis: Redis, p: str, events: Sequence[ClusterEvent], assigned: Mapping[str, ItemAssigned]
    ) -> dict[str, set[str]]:
        """Return by cluster the items that are not in it any more: what was there before, or passed through."""
        leaving: dict[str, set[str]] = defaultdict(set)
        if not assigned:
            return leaving
        for event in events:
            if isinstance(event, ItemAssigned) and event.cluster_id != assigned[event.item_id].cluster_id:
                leaving[event.cluster_id].add(event.item_id)
        before = await cast(Awaitable[list[str | None]], redis.hmget(f"feedback:cluster:{p}", list(assigned)))
        for old, event in zip(before, assigned.values(), strict=True):
            if old is not None and old != event.cluster_id:
                leaving[old].add(event.item_id)
        return leaving

    async def _merge(self, redis: Redis, p: str, events: Sequence[ClusterMerged]) -> None:
        # What something is merged into stands for itself, or it would be that one's line that counts.
        await self._hang(redis, p, {event.into_id: None for event in events})
        await self._hang(redis, p, {event.cluster_id: event.into_id for event in events})
        pipe = redis.pipeline()
        for e in events:
            _forget(pipe, p, e.cluster_id)
            into = HistoryEntry("merged_into", e.by, e.reason, e.at, e.into_id, e.command_id)
            _remember(pipe, p, e.cluster_id, into)
            merged = HistoryEntry("merged", e.by, e.reason, e.at, e.cluster_id, e.command_id)
            _remember(pipe, p, e.into_id, merged)
        await pipe.execute()

    async def _restore(self, redis: Redis, p: str, event: ClusterRestored) -> None:
        await self._hang(redis, p, {event.cluster_id: None})
        pipe = redis.pipeline()
        restored = HistoryEntry("restored", "person", event.reason, event.at, command_id=event.command_id)
        _remember(pipe, p, event.cluster_id, restored)
        await pipe.execute()

    async def _hang(self, redis: Redis, p: str, parts: Mapping[str, str | None]) -> None:
        """Make clusters part of others, or of none: their items and jobs are read with what they are part of.

        None of them may be what another is made part of.
        """
        lines = await self._lines(redis, p, {c for part in parts.items() for c in part if c is not None})
        before = {part: lines[part][1:] for part in parts}
        after = {part: () if into is None else lines[into] for part, into in parts.items()}
        changing = [part for part in parts if before[part] != after[part]]
        if not changing:
            return
        for kind in (f"cluster:items:{p}", "cluster:jobs"):
            pipe = redis.pipeline(transaction=False)
            for part in changing:
                pipe.zrange(f"{kind}:{part}", 0, -1, withscores=True)
            found = cast(list[list[tuple[str, float]]], await pipe.execute())
            for part, members in zip(changing, found, strict=True):
                for first in range(0, len(members), _CHUNK):
                    chunk = dict(members[first : first + _CHUNK])
                    for of in set(before[part]) - set(after[part]):
                        pipe.zrem(f"{kind}:{of}", *chunk)
                    for of in after[part]:
                        pipe.zadd(f"{kind}:{of}", chunk)
            await pipe.execute()
        await self._forget_empty(redis, p, sorted({of for part in changing for of in before[part]}))
        # Last, for it says that all this is done: cut off before it, the same events do it again.
        gone = [part for part in changing if parts[part] is None]
        if gone:
            await redis.hdel(f"clusters:{p}:alias", *gone)
        hung = {part: into for part in changing if (into := parts[part]) is not None}
        if hung:
            await redis.hset(f"clusters:{p}:alias", mapping=cast(Any, hung))

    async def _lines(self, redis: Redis, p: str, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return each cluster's line: itself, what it was merged into, what that was merged into, and so on."""
        into: dict[str, str] = {}
        unknown = sorted(ids)
        while unknown:
            found = await cast(Awaitable[list[str | None]], redis.hmget(f"clusters:{p}:alias", unknown))
            further = {c: to for c, to in zip(unknown, found, strict=True) if to is not None}
            into |= further
            unknown = sorted(set(further.values()) - set(into))
        lines = {}
        for cluster_id in ids:
            line = [cluster_id]
            while (to := into.get(line[-1], line[0])) not in line:
                line.append(to)
            lines[cluster_id] = tuple(line)
        return lines

    async def _forget_empty(self, redis: Redis, p: str, clusters: Sequence[str]) -> None:
        """Take clusters without items out of the lists."""
        if not clusters:
            return
        pipe = redis.pipeline(transaction=False)
        for cluster_id in clusters:
            pipe.zcard(f"cluster:items:{p}:{cluster_id}")
        empty = [c for c, items in zip(clusters, await pipe.execute(), strict=True) if not items]
        if empty:
            pipe = redis.pipeline()
            for cluster_id in empty:
                _forget(pipe, p, cluster_id)
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
            lines = await self._lines(redis, job.project_id, {job.cluster_id})
            pipe = redis.pipeline()
            pipe.hset(f"job:{job.id}", mapping=_job_fields(job))
            if step.log is not None:
                pipe.hset(f"job:{job.id}:logs", mapping={str(step.seq): step.log})
            pipe.zadd(f"jobs:{job.project_id}", {job.id: at})
            for of in lines[job.cluster_id]:
                pipe.zadd(f"cluster:jobs:{of}", {job.id: at})
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

    async def put_key(self, key: ApiKey) -> None:
        """Store a key under its hash."""
        async with self._answering() as redis:
            pipe = redis.pipeline()
            pipe.set(f"key:{key.hash}", _KEY.dump_json(key))
            pipe.zadd(f"keys:{key.project_id}", {key.hash: key.created_at.timestamp()})
            await pipe.execute()

    async def key_used(self, key_id: str, at: datetime) -> None:
        """Note when a key was last used."""
        async with self._answering() as redis:
            await redis.set(f"used:key:{key_id}", at.isoformat())

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

    async def key(self, hashed: str) -> ApiKey | None:
        """Return the key whose secret has this hash, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"key:{hashed}")
        return None if text is None else _KEY.validate_json(text)

    async def keys(self, project_id: str) -> tuple[KeyView, ...]:
        """Return a project's keys, newest first."""
        async with self._answering() as redis:
            hashes = cast(list[str], await redis.zrevrange(f"keys:{project_id}", 0, -1))
            if not hashes:
                return ()
            keys = [_KEY.validate_json(text) for text in await redis.mget([f"key:{h}" for h in hashes]) if text]
            used = cast(list[str | None], await redis.mget([f"used:key:{key.id}" for key in keys]))
        return tuple(
            KeyView(key, None if at is None else datetime.fromisoformat(at)) for key, at in zip(keys, used, strict=True)
        )

    async def feedback(
        self,
        project_id: str,
        *,
        source: str | None = None,
        cluster_id: str | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return items, newest first; a source within a cluster is asked of the cluster's page, item by item."""
        p = project_id
        async with self._answering() as redis:
            if cluster_id is not None:
                key = f"cluster:items:{p}:{await self._standing(redis, p, cluster_id)}"
            elif source is not None:
                key = f"feedback:source:{p}:{source}"
            else:
                key = f"feedback:created:{p}"
            if cluster_id is not None and source is not None:
                both = f"feedback:source:{p}:{source}"
                found = await redis.zinter([key, both], aggregate="MAX", withscores=True)
                shared = cast(list[tuple[str, float]], found)[::-1]
                start = offset
                if after is not None:
                    member, score = _cursor(after)
                    start = sum((s, m) >= (score, member) for m, s in shared)
                page = _Ids(shared[start : start + limit], len(shared), start)
            else:
                page = await self._page(redis, key, limit, offset, after)
            return page.of(await self._items(redis, p, page.ids))

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""
        async with self._answering() as redis:
            found = await self._items(redis, project_id, [item_id])
        return found[0] if found else None

    async def clusters(
        self, project_id: str, *, limit: int, offset: int, after: str | None = None
    ) -> Page[ClusterView]:
        """Return clusters, largest first."""
        async with self._answering() as redis:
            page = await self._page(redis, f"clusters:{project_id}:ranked", limit, offset, after)
            return page.of(await self._clusters(redis, project_id, page.ids))

    async def cluster(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""
        async with self._answering() as redis:
            standing = await self._standing(redis, project_id, cluster_id)
            found = await self._clusters(redis, project_id, [standing])
        return found[0] if found else None

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first."""
        async with self._answering() as redis:
            standing = await self._standing(redis, project_id, cluster_id)
            entries = cast(list[str], await redis.zrevrange(f"cluster:history:{project_id}:{standing}", 0, -1))
        return tuple(_ENTRY.validate_json(entry) for entry in entries)

    async def command(self, project_id: str, command_id: str) -> CommandView | None:
        """Return what became of a command, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"command:{project_id}:{command_id}")
        return None if text is None else _COMMAND.validate_json(text)

    async def proposals(self, project_id: str) -> tuple[Proposal, ...]:
        """Return what a person may want to do, the likeliest first."""
        async with self._answering() as redis:
            text = await redis.get(f"clustering:proposals:{project_id}")
        return () if text is None else _PROPOSALS.validate_json(text)

    async def clustering_status(self, project_id: str) -> ClusteringStatus | None:
        """Return how the project's clustering stands, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"clustering:status:{project_id}")
        return None if text is None else _STATUS.validate_json(text)

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures; statuses are counted over clusters that have had a job, or are not open."""
        p = project_id
        async with self._answering() as redis:
            sources = sorted(await cast(Awaitable[set[str]], redis.smembers(f"feedback:sources:{p}")))
            pipe = redis.pipeline(transaction=False)
            pipe.zcard(f"feedback:created:{p}")
            pipe.scard(f"feedback:unclustered:{p}")
            pipe.zcard(f"clusters:{p}:ranked")
            pipe.zrange(f"jobs:{p}", 0, -1)
            pipe.hgetall(f"clusters:{p}:triage")
            for source in sources:
                pipe.zcard(f"feedback:source:{p}:{source}")
            total, unclustered, clusters, job_ids, triage, *counts = await pipe.execute()
            jobs = await self._jobs(redis, job_ids)
            lines = await self._lines(redis, p, {job.cluster_id for job in jobs})
            newest = {lines[job.cluster_id][-1]: job for job in sorted(jobs, key=lambda job: job.created_at)}
            told = sorted(newest.keys() | triage.keys())
            known = await redis.zmscore(f"clusters:{p}:ranked", told) if told else []
        by_status: dict[str, int] = defaultdict(int)
        for cluster_id, rank in zip(told, known, strict=True):
            if rank is not None:  # a job may be known before its cluster is
                by_status[cluster_status(newest.get(cluster_id), triage.get(cluster_id, "open"))] += 1
        by_status["new"] = clusters - sum(n for status, n in by_status.items() if status != "new")
        return Stats(
            total,
            unclustered,
            clusters,
            dict(zip(sources, counts, strict=True)),
            dict(by_status),
            len(job_ids),
        )

    async def jobs(
        self,
        project_id: str,
        *,
        cluster_id: str | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[Job]:
        """Return jobs, newest first."""
        key = f"jobs:{project_id}"
        async with self._answering() as redis:
            if cluster_id is not None:
                key = f"cluster:jobs:{await self._standing(redis, project_id, cluster_id)}"
            page = await self._page(redis, key, limit, offset, after)
            found = await self._jobs(redis, page.ids)
        return page.of(tuple(job for job in found if job.project_id == project_id))

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

    async def _page(self, redis: Redis, key: str, limit: int, offset: int, after: str | None) -> "_Ids":
        start = offset
        if after is not None:
            member, score = _cursor(after)
            pipe = redis.pipeline(transaction=False)
            pipe.zrevrank(key, member)
            pipe.zcount(key, f"({score!r}", "+inf")
            rank, above = await pipe.execute()
            start = above if rank is None else rank + 1  # it may be gone: then on from where it stood
        pipe = redis.pipeline(transaction=False)
        pipe.zrevrange(key, start, start + limit - 1, withscores=True)
        pipe.zcard(key)
        pairs, total = await pipe.execute()
        return _Ids(pairs, total, start)

    async def _standing(self, redis: Redis, p: str, cluster_id: str) -> str:
        """Return the cluster that an id stands for: itself, or the one it is part of."""
        return (await self._lines(redis, p, {cluster_id}))[cluster_id][-1]

    async def _items(self, redis: Redis, p: str, ids: Sequence[str]) -> tuple[FeedbackView, ...]:
        if not ids:
            return ()
        pipe = redis.pipeline(transaction=False)
        pipe.mget([f"feedback:{p}:{i}" for i in ids])
        pipe.hmget(f"feedback:cluster:{p}", list(ids))
        pipe.hmget(f"assignments:{p}", list(ids))
        texts, clusters, whys = await pipe.execute()
        lines = await self._lines(redis, p, {c for c in clusters if c is not None})
        return tuple(
            FeedbackView(
                _ITEM.validate_json(text),
                None if cluster is None else lines[cluster][-1],
                None if why is None else _ASSIGNMENT.validate_json(why),
            )
            for text, cluster, why in zip(texts, clusters, whys, strict=True)
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
        newest = {job.id: job for job in await self._jobs(redis, [j for jobs in answers[1::2] for j in jobs])}
        nameless = [i for i, fields in zip(ids, answers[0::2], strict=True) if fields and not fields["title"]]
        named = {i: await self._newest_item(redis, p, i) for i in nameless}
        return tuple(
            _cluster(p, i, {**fields, **named.get(i, {})}, newest[jobs[0]] if jobs else None)
            for i, fields, jobs in zip(ids, answers[0::2], answers[1::2], strict=True)
            if fields
        )

    async def _newest_item(self, redis: Redis, p: str, cluster_id: str) -> dict[str, str]:
        """Return title and summary that a cluster without them is called by: its newest item's, as far as it is known.

        Texts that it could have been called by were deleted, and its clusterer keeps no other.
        """
        newest = cast(list[str], await redis.zrevrange(f"cluster:items:{p}:{cluster_id}", 0, 0))
        for view in await self._items(redis, p, newest):
            return {"title": view.item.title, "summary": brief(view.item).text[:SUMMARY_CHARS]}
        return {}

    async def _jobs(self, redis: Redis, ids: Sequence[str]) -> tuple[Job, ...]:
        pipe = redis.pipeline(transaction=False)
        for i in ids:
            pipe.hgetall(f"job:{i}")
        return tuple(_job(fields) for fields in await pipe.execute() if fields)


def _alone(event: ClusterEvent) -> type | None:
    """Return the type of an event that is not told in absolute terms, or None."""
    return type(event) if isinstance(event, ClusterMerged | ClusterRestored | ItemRemoved) else None


def _independent(events: Iterable[ClusterMerged]) -> Iterable[list[ClusterMerged]]:
    """Yield runs of merges in which none is about what another has merged."""
    run: list[ClusterMerged] = []
    merged: set[str] = set()
    into: set[str] = set()
    for event in events:
        if len(run) == _MERGES or event.cluster_id in merged | into or event.into_id in merged:
            yield run
            run, merged, into = [], set(), set()
        run.append(event)
        merged.add(event.cluster_id)
        into.add(event.into_id)
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class _Ids:
    """A part of a sorted set, highest first: (member, score) from a place on, and how many there are."""

    pairs: Sequence[tuple[str, float]]
    total: int
    start: int

    @property
    def ids(self) -> list[str]:
        return [member for member, _ in self.pairs]

    def of(self, items: tuple[T, ...]) -> Page[T]:
        """Return the page of what these ids stand for."""
        last = self.start + len(self.pairs) >= self.total or not self.pairs
        return Page(items, self.total, None if last else f"{self.pairs[-1][0]}~{self.pairs[-1][1]!r}")


def _cursor(cursor: str) -> tuple[str, float]:
    """Return the member and the score that a cursor stands for."""
    member, _, score = cursor.rpartition("~")
    return member, float(score)


def _passes(error: ResponseError) -> bool:
    """Tell whether the server is there but cannot serve now: full, read-only, or with a disk it cannot write.

    redis-py has classes of their own for some codes, and takes the code off the text; of a pipeline's error the text
    starts with the command, which holds anyone's words, and the server's own text comes last.
    """
    if isinstance(error, OutOfMemoryError | ReadOnlyError):
        return True
    said = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    return said.split(" ", 1)[0] in {"MISCONF", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"}


def _tell(pipe: Pipeline, p: str, events: Iterable[ClusterEvent]) -> None:
    """Write what is neither an item's nor a cluster's place."""
    for event in events:
        match event:
            case ClusterSplit():
                parent = HistoryEntry("split_off", event.by, event.reason, event.at, event.cluster_id, event.command_id)
                _remember(pipe, p, event.parent_id, parent)
                new = HistoryEntry("split_from", event.by, event.reason, event.at, event.parent_id, event.command_id)
                _remember(pipe, p, event.cluster_id, new)
            case CommandDone():
                done = CommandView(event.command_id, event.outcome, event.reason, event.at)
                pipe.set(f"command:{p}:{event.command_id}", _COMMAND.dump_json(done), ex=COMMAND_KEPT)
                if event.outcome == "applied" and event.kind in _TOLD_BY_COMMAND:
                    kind = cast(Happening, event.kind)
                    entry = HistoryEntry(kind, "person", event.reason, event.at, command_id=event.command_id)
                    for cluster_id in event.cluster_ids:
                        _remember(pipe, p, cluster_id, entry)
            case ClusterReopened():
                entry = HistoryEntry("reopened", "consolidation", event.reason, event.at)
                _remember(pipe, p, event.cluster_id, entry)
            case ProposalsChanged():
                pipe.set(f"clustering:proposals:{p}", _PROPOSALS.dump_json(event.proposals))
            case ClusteringStatus():
                pipe.set(f"clustering:status:{p}", _STATUS.dump_json(event))


def _remember(pipe: Pipeline, p: str, cluster_id: str, entry: HistoryEntry) -> None:
    """Add to a cluster's history; the same entry again is the same member."""
    key = f"cluster:history:{p}:{cluster_id}"
    pipe.zadd(key, {_ENTRY.dump_json(entry, exclude_none=True): entry.at.timestamp() if entry.at else 0.0})
    pipe.zremrangebyrank(key, 0, -HISTORY_ENTRIES - 1)


def _forget(pipe: Pipeline, p: str, cluster_id: str) -> None:
    pipe.delete(f"cluster:{p}:{cluster_id}")
    pipe.zrem(f"clusters:{p}:all", cluster_id)
    pipe.zrem(f"clusters:{p}:ranked", cluster_id)
    pipe.hdel(f"clusters:{p}:triage", cluster_id)


def _why(event: ItemAssigned) -> bytes:
    why = Assignment(
        event.change,
        event.score,
        event.threshold,
        event.runner_up_id,
        event.runner_up_score,
        event.rule,
        event.calibration,
        event.round,
        event.embedder,
        event.reason,
    )
    return _ASSIGNMENT.dump_json(why, exclude_defaults=True)


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
        "terms": json.dumps(cluster.terms),
        "coherence": "" if cluster.coherence is None else cluster.coherence,
        "titled_by": cluster.titled_by,
        "pinned": int(cluster.pinned),
        "parent_id": cluster.parent_id or "",
        "triage": cluster.triage,
    }


def _cluster(p: str, cluster_id: str, fields: dict[str, str], job: Job | None) -> ClusterView:
    triage = cast(Triage, fields.get("triage", "open"))
    updated = datetime.fromisoformat(fields["updated_at"])
    return ClusterView(
        project_id=p,
        id=cluster_id,
        title=fields["title"],
        summary=fields["summary"],
        status=cluster_status(job, triage),
        size=int(fields["size"]),
        sources=tuple(json.loads(fields["sources"])),
        created_at=datetime.fromisoformat(fields["created_at"]),
        updated_at=max(updated, job.updated_at) if job else updated,
        github_pr_url=job.pr_url if job else None,
        error_message=job.error if job else None,
        # These a cluster may lack that was written before there were any.
        terms=tuple(json.loads(fields.get("terms", "[]"))),
        coherence=float(coherence) if (coherence := fields.get("coherence")) else None,
        titled_by=cast(Literal["machine", "person"], fields.get("titled_by", "machine")),
        pinned=fields.get("pinned") == "1",
        parent_id=fields.get("parent_id") or None,
        triage=triage,
    )


def _job_fields(job: Job) -> dict[Any, Any]:
    return {name: value for name, value in _JOB.dump_python(job, mode="json").items() if value is not None}


def _job(fields: dict[str, str]) -> Job:
    return _JOB.validate_python(fields)


def _project(project_id: str, fields: dict[str, str]) -> Project:
    created = fields.get("created_at")
    return Project(project_id, fields.get("name", project_id), datetime.fromisoformat(created) if created else None)
