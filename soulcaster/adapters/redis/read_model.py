"""The read model in Redis: what pages and API read, made from feedback.items, cluster.events, job.events, control.

Keys (`{p}` a project's id, `{c}` a cluster's):

| key | type | holds |
|---|---|---|
| feedback:{p}:{id} | string | the item, JSON |
| feedback:created:{p} | zset | item ids by created_at, epoch seconds |
| feedback:source:{p}:{source} | zset | the same, of one source |
| feedback:sources:{p} | set | the sources there are |
| feedback:repos:{p} | hash | item id -> the repository it is about, "owner/name", where it is about one |
| feedback:repo:{p}:{owner/name} | zset | item ids by created_at, of one repository, in lower case |
| feedback:external:{p}:{source}:{external_id} | string | the item's id |
| feedback:received:{p} | zset | sources by when their newest item came in |
| feedback:unclustered:{p} | set | ids of items in no cluster yet |
| feedback:occurrences:{p}:{id} | HyperLogLog | ids of the events that are one item, to count them: within about 1% |
| feedback:cluster:{p} | hash | item id -> id of the cluster it was assigned to, which may have been merged since |
| deleted:{p} | set | ids of items that were deleted: none of their versions comes back |
| assignments:{p} | hash | item id -> why it was assigned, JSON |
| cluster:{p}:{c} | hash | title, summary, size, sources, times and so on; status from jobs |
| cluster:items:{p}:{c} | zset | item ids by created_at, those of the clusters merged into it too |
| cluster:history:{p}:{c} | zset | what happened to it, JSON, by time; the newest |
| clusters:{p}:all | zset | cluster ids by created_at |
| clusters:{p}:ranked | zset | cluster ids by size, those of a size by created_at |
| clusters:{p}:updated | zset | cluster ids by updated_at, that of their newest job included |
| clusters:{p}:{order}:status:{status}, clusters:{p}:{order}:source:{source} | zset | each of the three, narrowed down |
| clusters:{p}:narrowed | hash | cluster id -> the status and the sources by which it is among those, JSON |
| clusters:{p}:alias | hash | id of a merged cluster -> id of the one it was merged into, which may be merged itself |
| clustering:status:{p}, clustering:proposals:{p} | string | how clustering stands; what a person may want to do; JSON |
| clustering:config:{p} | string | how the project is clustered, JSON |
| command:{p}:{id} | string | what became of a command, JSON; for a month |
| job:{id}, job:{id}:steps | hash | the job; its steps by their ids: place and log line, JSON |
| jobs:{p} | zset | job ids by created_at |
| cluster:jobs:{c} | zset | the same, of one cluster, those of the clusters merged into it too |
| key:{hash}, keys:{p} | string, zset | an API key by the hash of its secret, JSON; hashes by created_at |
| used:key:{id} | string | when a key was last used; not rebuilt |
| projects, project:{p} | set, hash | the projects; name, created_at and created_by |
| user:{u} | string | a user, JSON |
| members:{p}, user:projects:{u} | hash | what users are in a project, by user id, and one user in projects; JSON |
| config:{p}:project | string | the project's settings, JSON |
| config:{p}:reddit:subreddits | string | the subreddits among them, JSON, for who reads Redis |
| config:{p}:claim:{version} | string | somebody is about to set this version; for minutes, not rebuilt |
| webhooks:{p} | hash | webhook secrets by id, sealed, JSON |
| repositories:{p} | hash | "owner/name" in lower case -> how far its issues were read, JSON |
| sources:{p} | hash | report:{source}: what its poller says, JSON; kick:{source}: when it was kicked |
| events:{p} | stream | notices of what changed, JSON; the newest, not rebuilt |

Two things are kept as events say them: which cluster an item was assigned to, and which cluster a cluster was merged
into. The rest follows from these: a cluster's items are those assigned to it or to any that was merged into it, and so
on down. So events that come again, from any point on, end in the same state, and a merge is undone by its alias alone.
"""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal, cast, get_args

from pydantic import TypeAdapter
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from soulcaster.adapters.redis.client import address, redis_client
from soulcaster.adapters.redis.lists import ListRange, narrowed, read_part
from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.assignment import Assignment
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusteringConfigured,
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
from soulcaster.domain.feedback.items import FeedbackItem, brief, repo_of
from soulcaster.domain.feedback.versions import newest as newest_of
from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStep, Triage, advance, cluster_status, start
from soulcaster.domain.members import Membership, User
from soulcaster.domain.source_state import RepositoryState, SourceReport, SourceState
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.errors import RedisUnavailable
from soulcaster.ports.api_keys import ApiKeyView
from soulcaster.ports.clusters import ClusterOrder, ClusterView, Happening, HistoryEntry
from soulcaster.ports.commands import CommandView
from soulcaster.ports.feedback import FeedbackView, Versions
from soulcaster.ports.members import MemberView
from soulcaster.ports.notices import NO_NOTICE, CommandNotice, JobNotice, Notice
from soulcaster.ports.paging import Page
from soulcaster.ports.projects import Project, Stats
from soulcaster.ports.read_model import ReadModel
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.wire.project_config import StoredConfig

TIMEOUT_SECONDS = 5.0

HISTORY_ENTRIES = 100

REPO_ITEMS = 20
"""Items of a cluster, the newest, whose repositories are asked for when it is read."""

SUMMARY_CHARS = 280
"""Of the text of an item that a cluster is called by."""

_TOLD_BY_COMMAND: frozenset[str] = frozenset({"move", "rename", "pin", "mute", "resolve", "reopen"})
"""Commands that no event but their own answer tells the history of."""

COMMAND_KEPT = timedelta(days=30)

CLAIM_KEPT = timedelta(minutes=5)
"""Longer than settings take to be stored, unless the worker is down."""

NOTICES_KEPT = 500
NOTICE_CLUSTERS = 50
"""Clusters that one notice names."""

_CHUNK = 10_000
"""Members that one command moves from a cluster to another: more would keep everybody else waiting."""

_MADE_AGAIN = (
    "feedback:*", "deleted:*", "assignments:*", "cluster:*", "clusters:*", "clustering:*", "command:*", "job:*",
    "jobs:*", "key:*", "keys:*", "members:*", "project:*", "projects", "user:*", "config:*", "webhooks:*", "sources:*",
    "repositories:*",
)  # fmt: skip
"""The keys that are made again from Kafka, of those in the table above."""

_LISTED = 1_000
"""Clusters whose places in the lists are written in one transaction."""

_MERGES = 100
"""Merges that are done in one go; all their items are in memory meanwhile."""

_ORDERS: Mapping[ClusterOrder, str] = {"largest": "ranked", "newest": "all", "updated": "updated"}

_ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)
_KEY: TypeAdapter[ApiKey] = TypeAdapter(ApiKey)
_USER: TypeAdapter[User] = TypeAdapter(User)
_MEMBERSHIP: TypeAdapter[Membership] = TypeAdapter(Membership)
_JOB: TypeAdapter[Job] = TypeAdapter(Job)
_ASSIGNMENT: TypeAdapter[Assignment] = TypeAdapter(Assignment)
_ENTRY: TypeAdapter[HistoryEntry] = TypeAdapter(HistoryEntry)
_COMMAND: TypeAdapter[CommandView] = TypeAdapter(CommandView)
_PROPOSALS: TypeAdapter[tuple[Proposal, ...]] = TypeAdapter(tuple[Proposal, ...])
_STATUS: TypeAdapter[ClusteringStatus] = TypeAdapter(ClusteringStatus)
_CONFIGURED: TypeAdapter[ClusteringConfigured] = TypeAdapter(ClusteringConfigured)
_CONFIG: TypeAdapter[StoredConfig] = TypeAdapter(StoredConfig)
_SECRET: TypeAdapter[WebhookSecret] = TypeAdapter(WebhookSecret)
_REPORT: TypeAdapter[SourceReport] = TypeAdapter(SourceReport)
_REPOSITORY: TypeAdapter[RepositoryState] = TypeAdapter(RepositoryState)
_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)


class RedisStore:
    """Reads and writes the read model in one Redis; safe to use from many tasks."""

    def __init__(self, url: str, *, notices: bool = False) -> None:
        """Prepare; the first call connects. With `notices`, what changes items, clusters and jobs tells of it."""
        self._address = address(url)
        self._notices = notices
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
        async with self._answering() as redis:
            newest = await self._newest(redis, p, items)
            pipe = redis.pipeline(transaction=False)
            pipe.hmget(f"feedback:cluster:{p}", list(newest))
            pipe.hmget(f"feedback:repos:{p}", list(newest))
            pipe.smismember(f"deleted:{p}", list(newest))
            assigned, repos, deleted = await pipe.execute()
            before = dict(zip(newest, repos, strict=True))
            waiting = [i for i, cluster, gone in zip(newest, assigned, deleted, strict=True) if not (cluster or gone)]
            kept = {i: item for (i, item), gone in zip(newest.items(), deleted, strict=True) if not gone}
            await self._put_repos(redis, p, kept, before)
            pipe = redis.pipeline(transaction=False)
            if kept:
                self._put(pipe, p, kept.values())
            occurrences: dict[str, set[str]] = defaultdict(set)
            for item in items:
                if item.occurrence_id is not None and item.id in kept:
                    occurrences[item.id].add(item.occurrence_id)
            for item_id, ids in occurrences.items():
                pipe.pfadd(f"feedback:occurrences:{p}:{item_id}", *sorted(ids))
            if waiting:
                pipe.sadd(f"feedback:unclustered:{p}", *waiting)
            received: dict[str, float] = {}
            for item in newest.values():  # deleted or not: something came of the source
                received[item.source] = max(received.get(item.source, 0.0), item.received_at.timestamp())
            pipe.zadd(f"feedback:received:{p}", received, gt=True)
            pipe.sadd("projects", p)
            self._notify(pipe, p, Notice(items=len(kept)))
            await pipe.execute()

    async def _newest(self, redis: Redis, p: str, items: Sequence[FeedbackItem]) -> dict[str, FeedbackItem]:
        """Return each item as it is after all that is told of it, what is known of it included."""
        told_in_parts = sorted({item.id for item in items if item.updated_at is not None or item.words != "own"})
        newest: dict[str, FeedbackItem] = {}
        if told_in_parts:
            texts = await redis.mget([f"feedback:{p}:{i}" for i in told_in_parts])
            newest = {item.id: item for item in (_ITEM.validate_json(text) for text in texts if text is not None)}
        for item in items:
            known = newest.get(item.id)
            newest[item.id] = item if known is None else newest_of(known, item)
        return newest

    def _put(self, pipe: Pipeline, p: str, items: Collection[FeedbackItem]) -> None:
        """Write items and the lists that they are in."""
        created: dict[str, float] = {}
        by_source: dict[str, dict[str, float]] = defaultdict(dict)
        strings: dict[str, str | bytes] = {}
        for item in items:
            created[item.id] = by_source[item.source][item.id] = item.created_at.timestamp()
            strings[f"feedback:{p}:{item.id}"] = _ITEM.dump_json(item)
            strings[f"feedback:external:{p}:{item.source}:{item.external_id}"] = item.id
        pipe.mset(cast(Any, strings))
        pipe.zadd(f"feedback:created:{p}", created)
        for source, members in by_source.items():
            pipe.zadd(f"feedback:source:{p}:{source}", members)
        pipe.sadd(f"feedback:sources:{p}", *by_source)

    async def _put_repos(
        self, redis: Redis, p: str, items: Mapping[str, FeedbackItem], before: Mapping[str, str | None]
    ) -> None:
        """Note which repository each item is about: all or nothing, for it says what is to be taken back."""
        pipe = redis.pipeline()
        for item in items.values():
            was, now = before[item.id], repo_of(item)
            if was is not None and (now is None or now.lower() != was.lower()):
                pipe.zrem(f"feedback:repo:{p}:{was.lower()}", item.id)
                pipe.hdel(f"feedback:repos:{p}", item.id)
            if now is not None:
                pipe.zadd(f"feedback:repo:{p}:{now.lower()}", {item.id: item.created_at.timestamp()})
                pipe.hset(f"feedback:repos:{p}", item.id, now)
        if len(pipe):
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
        pipe.hmget(f"feedback:repos:{p}", ids)
        _, texts, before, repos = await pipe.execute()
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
        for i, repo in zip(ids, repos, strict=True):
            if repo is not None:
                pipe.zrem(f"feedback:repo:{p}:{repo.lower()}", i)
        pipe.hdel(f"feedback:repos:{p}", *ids)
        for item in found:
            pipe.zrem(f"feedback:source:{p}:{item.source}", item.id)
            pipe.delete(f"feedback:external:{p}:{item.source}:{item.external_id}")
        await pipe.execute()
        touched = sorted({of for cluster_id in where for of in lines[cluster_id]})
        await self._forget_empty(redis, p, touched)
        await self._list(redis, p, touched)
        sources = sorted({item.source for item in found})
        left = [await redis.zcard(f"feedback:source:{p}:{source}") for source in sources]
        pipe = redis.pipeline(transaction=False)
        for source, count in zip(sources, left, strict=True):
            if not count:
                pipe.srem(f"feedback:sources:{p}", source)
        # Last, for it says what there is to do: cut off before it, the same tombstone does it again.
        pipe.delete(*(f"feedback:occurrences:{p}:{i}" for i in ids), *(f"feedback:{p}:{i}" for i in ids))
        self._notify(
            pipe, p, Notice(clusters=tuple(touched[:NOTICE_CLUSTERS]), more_clusters=len(touched) > NOTICE_CLUSTERS)
        )
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
        for cluster_id, cluster in shown.items():
            pipe.hset(f"cluster:{p}:{cluster_id}", mapping=_cluster_fields(cluster))
        _tell(pipe, p, events)
        filled = {of for cluster_id in joining for of in lines[cluster_id]}
        in_doubt = ({of for cluster_id in leaving for of in lines[cluster_id]} | set(shown)) - filled
        touched = sorted(in_doubt | set(shown))
        if touched:
            await pipe.execute()
            await self._forget_empty(redis, p, sorted(in_doubt))
            await self._list(redis, p, touched)
        if assigned:
            pipe.sadd("projects", p)
            pipe.srem(f"feedback:unclustered:{p}", *assigned)
            pipe.hset(
                f"assignments:{p}",
                mapping={i: _ASSIGNMENT.dump_json(e, exclude_defaults=True) for i, e in assigned.items()},
            )
            # Last, for it says what will have been left: cut off before it, the same events do it all again.
            pipe.hset(f"feedback:cluster:{p}", mapping={i: e.cluster_id for i, e in assigned.items()})
        self._notify(pipe, p, _noticed(events, {lines[c][-1] for c in lines}))
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
        self._notify(pipe, p, _noticed(events, {c for e in events for c in (e.cluster_id, e.into_id)}))
        await pipe.execute()
        await self._list(redis, p, [e.cluster_id for e in events])

    async def _restore(self, redis: Redis, p: str, event: ClusterRestored) -> None:
        await self._hang(redis, p, {event.cluster_id: None})
        pipe = redis.pipeline()
        restored = HistoryEntry("restored", "person", event.reason, event.at, command_id=event.command_id)
        _remember(pipe, p, event.cluster_id, restored)
        self._notify(pipe, p, _noticed([event], {event.cluster_id}))
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
        await self._list(redis, p, sorted({of for part in changing for of in (*before[part], *after[part], part)}))
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

    async def _list(self, redis: Redis, p: str, clusters: Sequence[str]) -> None:
        """Bring the lists of clusters up to date with these as they stand; one that is not shown is in none."""
        for first in range(0, len(clusters), _LISTED):
            some = clusters[first : first + _LISTED]
            pipe = redis.pipeline(transaction=False)
            pipe.hmget(f"clusters:{p}:narrowed", list(some))
            for cluster_id in some:
                pipe.hmget(f"cluster:{p}:{cluster_id}", ["size", "sources", "created_at", "updated_at", "triage"])
                pipe.zrevrange(f"cluster:jobs:{cluster_id}", 0, 0)
            narrowed_by, *found = await pipe.execute()
            newest = {job.id: job for job in await self._jobs(redis, [j for jobs in found[1::2] for j in jobs])}
            before = {c: set(json.loads(text)) for c, text in zip(some, narrowed_by, strict=True) if text is not None}
            now = {
                c: _listed(fields, newest[jobs[0]] if jobs else None)
                for c, fields, jobs in zip(some, found[0::2], found[1::2], strict=True)
                if fields[0] is not None
            }
            await _relist(redis, p, some, before, now)

    async def put_job(self, step: JobStep) -> None:
        """Apply a step, with its log line; one that is known by its id changes nothing."""
        place = json.dumps([step.place, step.log])
        async with self._answering() as redis:
            pipe = redis.pipeline(transaction=False)
            pipe.hgetall(f"job:{step.job_id}")
            pipe.hexists(f"job:{step.job_id}:steps", step.id)
            fields, known = await pipe.execute()
            job = _job(fields) if fields else start(step)
            if not known:
                job = advance(job, step)
            at = job.created_at.timestamp()
            lines = await self._lines(redis, job.project_id, {job.cluster_id})
            pipe = redis.pipeline()
            if not known:
                pipe.delete(f"job:{job.id}")
                pipe.hset(f"job:{job.id}", mapping=_job_fields(job))
                pipe.hset(f"job:{job.id}:steps", step.id, place)
            pipe.zadd(f"jobs:{job.project_id}", {job.id: at})
            for of in lines[job.cluster_id]:
                pipe.zadd(f"cluster:jobs:{of}", {job.id: at})
            if not known:
                cluster_id = lines[job.cluster_id][-1]
                notice = Notice(clusters=(cluster_id,), jobs=(JobNotice(job.id, cluster_id, job.status),))
                self._notify(pipe, job.project_id, notice)
            await pipe.execute()
            await self._list(redis, job.project_id, lines[job.cluster_id][-1:])

    def _notify(self, pipe: Pipeline, p: str, notice: Notice) -> None:
        """Tell of what is written before in the same pipeline; whoever reads the notice finds it."""
        if self._notices and notice != Notice():
            fields: dict[Any, Any] = {"notice": _NOTICE.dump_json(notice, exclude_defaults=True)}
            pipe.xadd(f"events:{p}", fields, maxlen=NOTICES_KEPT, approximate=True)

    async def put_project(self, project: Project) -> None:
        """Store a project's name."""
        async with self._answering() as redis:
            pipe = redis.pipeline()
            fields = {"name": project.name}
            if project.created_at is not None:
                fields["created_at"] = project.created_at.isoformat()
            if project.created_by is not None:
                fields["created_by"] = project.created_by
            pipe.hset(f"project:{project.id}", mapping=cast(Any, fields))
            pipe.sadd("projects", project.id)
            await pipe.execute()

    async def put_api_key(self, key: ApiKey) -> None:
        """Store a key under its hash."""
        async with self._answering() as redis:
            pipe = redis.pipeline()
            pipe.set(f"key:{key.hash}", _KEY.dump_json(key))
            pipe.zadd(f"keys:{key.project_id}", {key.hash: key.created_at.timestamp()})
            await pipe.execute()

    async def put_project_config(self, project_id: str, config: StoredConfig) -> None:
        """Store a project's settings, and the subreddits once more where the predecessor's programs look for them."""
        p, subreddits = project_id, config.config.sources.reddit.subreddits
        async with self._answering() as redis:
            pipe = redis.pipeline()
            pipe.set(f"config:{p}:project", _CONFIG.dump_json(config))
            if subreddits is None:
                pipe.delete(f"config:{p}:reddit:subreddits")
            else:
                pipe.set(f"config:{p}:reddit:subreddits", json.dumps(subreddits))
            await pipe.execute()

    async def claim_config(self, project_id: str, version: int) -> bool:
        """Set a key if it is not there."""
        async with self._answering() as redis:
            return bool(await redis.set(f"config:{project_id}:claim:{version}", "1", nx=True, ex=CLAIM_KEPT))

    async def release_config(self, project_id: str, version: int) -> None:
        """Delete that key."""
        async with self._answering() as redis:
            await redis.delete(f"config:{project_id}:claim:{version}")

    async def put_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a webhook secret, or forget it."""
        async with self._answering() as redis:
            key = f"webhooks:{secret.project_id}"
            if secret.removed_at is None:
                await redis.hset(key, secret.id, _SECRET.dump_json(secret).decode())
            else:
                await redis.hdel(key, secret.id)

    async def put_source_report(self, project_id: str, source: str, report: SourceReport) -> None:
        """Store a source's report."""
        async with self._answering() as redis:
            text = _REPORT.dump_json(report).decode()
            await redis.hset(f"sources:{project_id}", f"report:{source}", text)

    async def put_source_kick(self, project_id: str, source: str, at: datetime) -> None:
        """Store a source's kick."""
        async with self._answering() as redis:
            await redis.hset(f"sources:{project_id}", f"kick:{source}", at.isoformat())

    async def put_repository(self, project_id: str, state: RepositoryState) -> None:
        """Store a repository's state."""
        async with self._answering() as redis:
            text = _REPOSITORY.dump_json(state).decode()
            await redis.hset(f"repositories:{project_id}", state.repository.lower(), text)

    async def key_used(self, key_id: str, at: datetime) -> None:
        """Note when a key was last used."""
        async with self._answering() as redis:
            await redis.set(f"used:key:{key_id}", at.isoformat())

    async def put_user(self, user: User) -> None:
        """Store a user under its id."""
        async with self._answering() as redis:
            await redis.set(f"user:{user.id}", _USER.dump_json(user))

    async def put_member(self, membership: Membership) -> None:
        """Store a membership on both its sides, or take it from both."""
        p, u = membership.project_id, membership.user_id
        async with self._answering() as redis:
            pipe = redis.pipeline()
            if membership.removed_at is None:
                text = _MEMBERSHIP.dump_json(membership).decode()
                pipe.hset(f"members:{p}", u, text)
                pipe.hset(f"user:projects:{u}", p, text)
            else:
                pipe.hdel(f"members:{p}", u)
                pipe.hdel(f"user:projects:{u}", p)
            await pipe.execute()

    # ---- reads ---------------------------------------------------------------------------------------------------

    async def projects(self) -> tuple[Project, ...]:
        """Return every project, by name."""
        async with self._answering() as redis:
            ids = sorted(await cast(Awaitable[set[str]], redis.smembers("projects")))
            return await self._projects(redis, ids)

    async def project(self, project_id: str) -> Project | None:
        """Return the project of that id, or None."""
        async with self._answering() as redis:
            if await cast(Awaitable[int], redis.sismember("projects", project_id)):
                fields = await cast(Awaitable[dict[str, str]], redis.hgetall(f"project:{project_id}"))
                return _project(project_id, fields)
        return None

    async def find_project(self, id_or_name: str) -> Project | None:
        """Return the project of that id, else the oldest of that name, else None."""
        if (known := await self.project(id_or_name)) is not None:
            return known
        named = [project for project in await self.projects() if project.name == id_or_name]
        return min(named, key=lambda project: project.created_at or datetime.max.replace(tzinfo=UTC), default=None)

    async def projects_of(self, user_id: str) -> tuple[Project, ...]:
        """Return the projects that a user is a member of, by name."""
        async with self._answering() as redis:
            ids = sorted(await cast(Awaitable[list[str]], redis.hkeys(f"user:projects:{user_id}")))
            return await self._projects(redis, ids)

    async def user(self, user_id: str) -> User | None:
        """Return one user, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"user:{user_id}")
        return None if text is None else _USER.validate_json(text)

    async def member(self, project_id: str, user_id: str) -> Membership | None:
        """Return what a user is in a project, or None."""
        async with self._answering() as redis:
            text = await cast(Awaitable[str | None], redis.hget(f"members:{project_id}", user_id))
        return None if text is None else _MEMBERSHIP.validate_json(text)

    async def members(self, project_id: str) -> tuple[MemberView, ...]:
        """Return a project's members, those of longest standing first."""
        async with self._answering() as redis:
            texts = await cast(Awaitable[list[str]], redis.hvals(f"members:{project_id}"))
            members = sorted(map(_MEMBERSHIP.validate_json, texts), key=lambda member: (member.at, member.user_id))
            users = await redis.mget([f"user:{member.user_id}" for member in members]) if members else []
        return tuple(
            MemberView(member, None if user is None else _USER.validate_json(user))
            for member, user in zip(members, users, strict=True)
        )

    async def memberships(self, user_id: str) -> tuple[Membership, ...]:
        """Return what a user is in which projects, by project id."""
        async with self._answering() as redis:
            texts = await cast(Awaitable[list[str]], redis.hvals(f"user:projects:{user_id}"))
        return tuple(sorted(map(_MEMBERSHIP.validate_json, texts), key=lambda member: member.project_id))

    async def key(self, hashed: str) -> ApiKey | None:
        """Return the key whose secret has this hash, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"key:{hashed}")
        return None if text is None else _KEY.validate_json(text)

    async def keys(self, project_id: str) -> tuple[ApiKeyView, ...]:
        """Return a project's keys, newest first."""
        async with self._answering() as redis:
            hashes = cast(list[str], await redis.zrevrange(f"keys:{project_id}", 0, -1))
            if not hashes:
                return ()
            keys = [_KEY.validate_json(text) for text in await redis.mget([f"key:{h}" for h in hashes]) if text]
            used = cast(list[str | None], await redis.mget([f"used:key:{key.id}" for key in keys]))
        return tuple(
            ApiKeyView(key, None if at is None else datetime.fromisoformat(at))
            for key, at in zip(keys, used, strict=True)
        )

    async def config(self, project_id: str) -> StoredConfig:
        """Return a project's settings."""
        async with self._answering() as redis:
            text = await redis.get(f"config:{project_id}:project")
        return StoredConfig() if text is None else _CONFIG.validate_json(text)

    async def webhook_secrets(self, project_id: str) -> tuple[WebhookSecret, ...]:
        """Return the webhook secrets of a project, newest first."""
        async with self._answering() as redis:
            found = await cast(Awaitable[dict[str, str]], redis.hgetall(f"webhooks:{project_id}"))
        secrets = [_SECRET.validate_json(text) for text in found.values()]
        return tuple(sorted(secrets, key=lambda secret: (secret.created_at, secret.id), reverse=True))

    async def sources(self, project_id: str) -> tuple[SourceState, ...]:
        """Return how sources stand, by name."""
        async with self._answering() as redis:
            pipe = redis.pipeline(transaction=False)
            pipe.hgetall(f"sources:{project_id}")
            pipe.zrange(f"feedback:received:{project_id}", 0, -1, withscores=True)
            said, received = await pipe.execute()
        at = {source: datetime.fromtimestamp(float(score), UTC) for source, score in received}
        reports = {name.removeprefix("report:"): text for name, text in said.items() if name.startswith("report:")}
        kicks = {name.removeprefix("kick:"): text for name, text in said.items() if name.startswith("kick:")}
        return tuple(
            SourceState(
                source,
                at.get(source),
                datetime.fromisoformat(kicks[source]) if source in kicks else None,
                _REPORT.validate_json(reports[source]) if source in reports else None,
            )
            for source in sorted({*at, *reports, *kicks})
        )

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return a repository's state, or None."""
        async with self._answering() as redis:
            text = await cast(Awaitable[str | None], redis.hget(f"repositories:{project_id}", repository.lower()))
        return None if text is None else _REPOSITORY.validate_json(text)

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return the states of repositories, by name."""
        async with self._answering() as redis:
            found = await cast(Awaitable[dict[str, str]], redis.hgetall(f"repositories:{project_id}"))
        return tuple(_REPOSITORY.validate_json(found[name]) for name in sorted(found))

    async def versions(self, project_id: str, item_ids: Sequence[str]) -> Versions:
        """Return what is known of items' versions, in one round trip."""
        if not item_ids:
            return Versions({}, frozenset())
        async with self._answering() as redis:
            pipe = redis.pipeline(transaction=False)
            pipe.mget([f"feedback:{project_id}:{i}" for i in item_ids])
            pipe.smismember(f"deleted:{project_id}", list(item_ids))
            texts, deleted = await pipe.execute()
        items = [_ITEM.validate_json(text) for text in texts if text is not None]
        gone = frozenset(i for i, is_gone in zip(item_ids, deleted, strict=True) if is_gone)
        return Versions({item.id: item.updated_at for item in items if item.id not in gone}, gone)

    async def notices(self, positions: Mapping[str, str], *, limit: int) -> Mapping[str, Sequence[tuple[str, Notice]]]:
        """Return what was told; never waits for more."""
        if not positions:
            return {}
        async with self._answering() as redis:
            found = await redis.xread({f"events:{p}": last for p, last in positions.items()}, count=limit)
        return {
            name.removeprefix("events:"): [(entry, _NOTICE.validate_json(of["notice"])) for entry, of in entries]
            for name, entries in cast(Sequence[tuple[str, Sequence[tuple[str, dict[str, str]]]]], found)
        }

    async def notice_span(self, project_id: str) -> tuple[str, str]:
        """Return the ids of the oldest and the newest notice."""
        async with self._answering() as redis:
            pipe = redis.pipeline(transaction=False)
            pipe.xrange(f"events:{project_id}", count=1)
            pipe.xrevrange(f"events:{project_id}", count=1)
            oldest, newest = await pipe.execute()
        return (oldest[0][0], newest[0][0]) if oldest and newest else (NO_NOTICE, NO_NOTICE)

    async def feedback(
        self,
        project_id: str,
        *,
        source: str | None = None,
        cluster_id: str | None = None,
        repo: str | None = None,
        words: Sequence[str] = (),
        since: datetime | None = None,
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[FeedbackView]:
        """Return items, newest first."""
        p = project_id
        window = ListRange(limit, offset, after, float("-inf") if since is None else since.timestamp())
        async with self._answering() as redis:

            async def said(ids: Sequence[str]) -> list[str | None]:
                return [
                    None if text is None else _said(json.loads(text), "title", "body")
                    for text in await redis.mget([f"feedback:{p}:{i}" for i in ids])
                ]

            keys = []
            if cluster_id is not None:
                keys.append(f"cluster:items:{p}:{await self._standing(redis, p, cluster_id)}")
            if source is not None:
                keys.append(f"feedback:source:{p}:{source}")
            if repo is not None:
                keys.append(f"feedback:repo:{p}:{repo.lower()}")
            found = await narrowed(redis, keys or [f"feedback:created:{p}"], window, words, said)
            return found.of(await self._items(redis, p, found.ids))

    async def feedback_item(self, project_id: str, item_id: str) -> FeedbackView | None:
        """Return one item, or None."""
        async with self._answering() as redis:
            found = await self._items(redis, project_id, [item_id])
        return found[0] if found else None

    async def clusters(
        self,
        project_id: str,
        *,
        status: ClusterStatus | None = None,
        source: str | None = None,
        words: Sequence[str] = (),
        order: ClusterOrder = "largest",
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[ClusterView]:
        """Return clusters."""
        p = project_id
        key = f"clusters:{p}:{_ORDERS[order]}"
        async with self._answering() as redis:

            async def said(ids: Sequence[str]) -> list[str | None]:
                pipe = redis.pipeline(transaction=False)
                for i in ids:
                    pipe.hmget(f"cluster:{p}:{i}", ["title", "summary"])
                return [None if title is None else f"{title}\n{summary}" for title, summary in await pipe.execute()]

            keys = []
            if status is not None:
                keys.append(f"{key}:status:{status}")
            if source is not None:
                keys.append(f"{key}:source:{source}")
            found = await narrowed(redis, keys or [key], ListRange(limit, offset, after), words, said)
            return found.of(await self._clusters(redis, p, found.ids))

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

    async def clustering_config(self, project_id: str) -> ClusteringConfigured | None:
        """Return how the project is clustered, or None."""
        async with self._answering() as redis:
            text = await redis.get(f"clustering:config:{project_id}")
        return None if text is None else _CONFIGURED.validate_json(text)

    async def stats(self, project_id: str) -> Stats:
        """Return a project's figures."""
        p = project_id
        statuses: tuple[ClusterStatus, ...] = get_args(ClusterStatus)
        async with self._answering() as redis:
            sources = sorted(await cast(Awaitable[set[str]], redis.smembers(f"feedback:sources:{p}")))
            pipe = redis.pipeline(transaction=False)
            pipe.zcard(f"feedback:created:{p}")
            pipe.scard(f"feedback:unclustered:{p}")
            pipe.zcard(f"clusters:{p}:ranked")
            pipe.zcard(f"jobs:{p}")
            for status in statuses:
                pipe.zcard(f"clusters:{p}:ranked:status:{status}")
            for source in sources:
                pipe.zcard(f"feedback:source:{p}:{source}")
            total, unclustered, clusters, jobs, *counts = await pipe.execute()
        by_status = dict(zip(statuses, counts[: len(statuses)], strict=True))
        return Stats(
            total,
            unclustered,
            clusters,
            dict(zip(sources, counts[len(statuses) :], strict=True)),
            {status: count for status, count in by_status.items() if count or status == "new"},
            jobs,
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
            page = await read_part(redis, key, ListRange(limit, offset, after))
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
            steps = await cast(Awaitable[list[str]], redis.hvals(f"job:{job_id}:steps"))
        lines = sorted(cast(list[list[Any]], [json.loads(step) for step in steps]), key=lambda line: line[0])
        return tuple(log for _, log in lines if log is not None)

    async def _projects(self, redis: Redis, ids: Sequence[str]) -> tuple[Project, ...]:
        """Return projects by name."""
        pipe = redis.pipeline(transaction=False)
        for i in ids:
            pipe.hgetall(f"project:{i}")
        found = [_project(i, fields) for i, fields in zip(ids, await pipe.execute(), strict=True)]
        return tuple(sorted(found, key=lambda project: project.name.casefold()))

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
        items = {i: _ITEM.validate_json(text) for i, text in zip(ids, texts, strict=True) if text is not None}
        many = [i for i, item in items.items() if item.occurrence_id is not None]
        pipe = redis.pipeline(transaction=False)
        for i in many:
            pipe.pfcount(f"feedback:occurrences:{p}:{i}")
        counts = dict(zip(many, await pipe.execute() if many else (), strict=True))
        return tuple(
            FeedbackView(
                items[i],
                None if cluster is None else lines[cluster][-1],
                None if why is None else _ASSIGNMENT.validate_json(why),
                counts.get(i, 1),
            )
            for i, cluster, why in zip(ids, clusters, whys, strict=True)
            if i in items
        )

    async def _clusters(self, redis: Redis, p: str, ids: Sequence[str]) -> tuple[ClusterView, ...]:
        if not ids:
            return ()
        pipe = redis.pipeline(transaction=False)
        pipe.hlen(f"feedback:repos:{p}")
        for i in ids:
            pipe.hgetall(f"cluster:{p}:{i}")
            pipe.zrevrange(f"cluster:jobs:{i}", 0, 0)
        repos, *answers = await pipe.execute()
        newest = {job.id: job for job in await self._jobs(redis, [j for jobs in answers[1::2] for j in jobs])}
        nameless = [i for i, fields in zip(ids, answers[0::2], strict=True) if fields and not fields["title"]]
        named = {i: await self._newest_item(redis, p, i) for i in nameless}
        views = tuple(
            _cluster(p, i, {**fields, **named.get(i, {})}, newest[jobs[0]] if jobs else None)
            for i, fields, jobs in zip(ids, answers[0::2], answers[1::2], strict=True)
            if fields
        )
        return await self._with_repos(redis, p, views) if repos else views

    async def _with_repos(self, redis: Redis, p: str, views: Sequence[ClusterView]) -> tuple[ClusterView, ...]:
        """Return clusters with the repository that most of their newest items are about."""
        pipe = redis.pipeline(transaction=False)
        for view in views:
            pipe.zrevrange(f"cluster:items:{p}:{view.id}", 0, REPO_ITEMS - 1)
        items = cast(list[list[str]], await pipe.execute())
        asked = [i for some in items for i in some]
        if not asked:
            return tuple(views)
        found = iter(await cast(Awaitable[list[str | None]], redis.hmget(f"feedback:repos:{p}", asked)))
        return tuple(
            replace(view, github_repo_url=_commonest([next(found) for _ in some]))
            for view, some in zip(views, items, strict=True)
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


class RedisReadModel(ReadModel):
    """The read model in one Redis, with its writer; safe to use from many tasks."""

    writer: ReadModelWriter

    def __init__(self, url: str, *, notices: bool = False) -> None:
        """Prepare; the first call connects. With `notices`, the writer adds a notice of what it changes."""
        store = RedisStore(url, notices=notices)
        super().__init__(
            feedback=_Feedback(store),
            clusters=_Clusters(store),
            clustering=_Clustering(store),
            commands=_Commands(store),
            jobs=_Jobs(store),
            projects=_Projects(store),
            members=_Members(store),
            api_keys=_ApiKeys(store),
            project_config=_ProjectConfig(store),
            webhook_secrets=_WebhookSecrets(store),
            sources=_Sources(store),
            notices=_Notices(store),
            store=store,
        )
        self.writer = store
        self.close = store.close


class _Feedback:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.feedback
        self.get = store.feedback_item
        self.versions = store.versions


class _Clusters:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.clusters
        self.get = store.cluster
        self.history = store.history


class _Clustering:
    def __init__(self, store: RedisStore) -> None:
        self.status = store.clustering_status
        self.config = store.clustering_config
        self.proposals = store.proposals


class _Commands:
    def __init__(self, store: RedisStore) -> None:
        self.get = store.command


class _Jobs:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.jobs
        self.get = store.job
        self.logs = store.job_logs


class _Projects:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.projects
        self.get = store.project
        self.find = store.find_project
        self.of_user = store.projects_of
        self.stats = store.stats


class _Members:
    def __init__(self, store: RedisStore) -> None:
        self.user = store.user
        self.get = store.member
        self.list = store.members
        self.of_user = store.memberships


class _ApiKeys:
    def __init__(self, store: RedisStore) -> None:
        self.get = store.key
        self.list = store.keys
        self.mark_used = store.key_used


class _ProjectConfig:
    def __init__(self, store: RedisStore) -> None:
        self.get = store.config
        self.claim = store.claim_config
        self.release = store.release_config


class _WebhookSecrets:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.webhook_secrets


class _Sources:
    def __init__(self, store: RedisStore) -> None:
        self.list = store.sources
        self.repository = store.repository
        self.repositories = store.repositories


class _Notices:
    def __init__(self, store: RedisStore) -> None:
        self.after = store.notices
        self.span = store.notice_span


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


def _passes(error: ResponseError) -> bool:
    """Tell whether the server is there but cannot serve now: full, read-only, or with a disk it cannot write.

    redis-py has classes of their own for some codes, and takes the code off the text; of a pipeline's error the text
    starts with the command, which holds anyone's words, and the server's own text comes last.
    """
    if isinstance(error, OutOfMemoryError | ReadOnlyError):
        return True
    said = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    return said.split(" ", 1)[0] in {"MISCONF", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"}


@dataclass(frozen=True, slots=True)
class _Listed:
    """Where a cluster stands in the lists: what they are narrowed down to, and its score in each order."""

    labels: tuple[str, ...]
    scores: Mapping[str, float]


def _listed(fields: Sequence[str], job: Job | None) -> _Listed:
    """Return where a cluster of this size, these sources, created and updated then, and so triaged, stands."""
    created, updated = (datetime.fromisoformat(at) for at in fields[2:4])
    triage = cast(Triage, fields[4] or "open")
    labels = (f"status:{cluster_status(job, triage)}", *(f"source:{name}" for name in json.loads(fields[1])))
    scores = {
        "largest": _rank(int(fields[0]), created),
        "newest": created.timestamp(),
        "updated": _updated(updated, job).timestamp(),
    }
    return _Listed(labels, {_ORDERS[order]: scores[order] for order in _ORDERS})


async def _relist(
    redis: Redis, p: str, clusters: Sequence[str], before: Mapping[str, set[str]], now: Mapping[str, _Listed]
) -> None:
    """Write the lists: all or nothing, for what a cluster is listed under says what is to be taken back."""
    leaving: dict[str, list[str]] = defaultdict(list)
    standing: dict[str, dict[str, float]] = defaultdict(dict)
    for cluster_id in clusters:
        listed = now.get(cluster_id)
        labels = set(listed.labels) if listed is not None else set()
        for label in before.get(cluster_id, set()) - labels:
            for order in _ORDERS.values():
                leaving[f"clusters:{p}:{order}:{label}"].append(cluster_id)
        if listed is None:
            for order in _ORDERS.values():
                leaving[f"clusters:{p}:{order}"].append(cluster_id)
            continue
        for order, score in listed.scores.items():
            standing[f"clusters:{p}:{order}"][cluster_id] = score
            for label in listed.labels:
                standing[f"clusters:{p}:{order}:{label}"][cluster_id] = score
    pipe = redis.pipeline()
    for key, members in leaving.items():
        pipe.zrem(key, *members)
    for key, scores in standing.items():
        pipe.zadd(key, scores)
    if now:
        pipe.hset(f"clusters:{p}:narrowed", mapping={c: json.dumps(listed.labels) for c, listed in now.items()})
    if gone := [c for c in clusters if c not in now]:
        pipe.hdel(f"clusters:{p}:narrowed", *gone)
    await pipe.execute()


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
            case ClusteringConfigured():
                pipe.set(f"clustering:config:{p}", _CONFIGURED.dump_json(event))


def _noticed(events: Iterable[ClusterEvent], clusters: Collection[str]) -> Notice:
    """Return what is told of events that changed these clusters."""
    commands = {e.command_id: CommandNotice(e.command_id, e.outcome) for e in events if isinstance(e, CommandDone)}
    states = [e.state for e in events if isinstance(e, ClusteringStatus)]
    return Notice(
        clusters=tuple(sorted(clusters)[:NOTICE_CLUSTERS]),
        more_clusters=len(clusters) > NOTICE_CLUSTERS,
        commands=tuple(commands.values()),
        clustering=states[-1] if states else None,
    )


def _remember(pipe: Pipeline, p: str, cluster_id: str, entry: HistoryEntry) -> None:
    """Add to a cluster's history; the same entry again is the same member."""
    key = f"cluster:history:{p}:{cluster_id}"
    pipe.zadd(key, {_ENTRY.dump_json(entry, exclude_none=True): entry.at.timestamp() if entry.at else 0.0})
    pipe.zremrangebyrank(key, 0, -HISTORY_ENTRIES - 1)


def _forget(pipe: Pipeline, p: str, cluster_id: str) -> None:
    pipe.delete(f"cluster:{p}:{cluster_id}")


def _commonest(repos: Sequence[str | None]) -> str | None:
    """Return the address of the repository that most of these are; among equals the first."""
    names = [repo for repo in repos if repo is not None]
    if not names:
        return None
    [(most, _)] = Counter(name.lower() for name in names).most_common(1)
    return f"https://github.com/{next(name for name in names if name.lower() == most)}"


def _said(of: Mapping[str, str], *names: str) -> str:
    """Return the text in which words are looked for."""
    return "\n".join(of[name] for name in names)


def _rank(size: int, created_at: datetime) -> float:
    """Return what ranks a cluster: its size and, as a fraction of one, its age (2 ** 33 seconds is the year 2242)."""
    at = min(max(created_at.timestamp(), 0.0), 2.0**33 - 1)
    return size + at / 2**33


def _updated(at: datetime, job: Job | None) -> datetime:
    """Return when a cluster that was updated then, or its newest job, last changed."""
    return at if job is None else max(at, job.updated_at)


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
    return ClusterView(
        project_id=p,
        id=cluster_id,
        title=fields["title"],
        summary=fields["summary"],
        status=cluster_status(job, triage),
        size=int(fields["size"]),
        sources=tuple(json.loads(fields["sources"])),
        created_at=datetime.fromisoformat(fields["created_at"]),
        updated_at=_updated(datetime.fromisoformat(fields["updated_at"]), job),
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
    return Project(
        project_id,
        fields.get("name", project_id),
        datetime.fromisoformat(created) if created else None,
        fields.get("created_by"),
    )
