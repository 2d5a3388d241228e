"""The lists of clusters in Redis, kept up to date.

Each of three orders has a sorted set of all clusters, and one for each label: a status, a source or a theme. They
change with the clusters, with their jobs and with merges.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.jobs import read_jobs
from soulcaster.adapters.redis.typed import Commands, Pipeline, Value
from soulcaster.domain.lifecycle import ClusterStatus, Job, Triage, cluster_status
from soulcaster.ports.clusters import ClusterOrder

ORDERS: Mapping[ClusterOrder, str] = {"largest": "ranked", "newest": "all", "updated": "updated"}
"""The orders by what keys call them."""

LISTED_AT_ONCE = 1_000
"""Clusters that one transaction writes to the lists."""

_TRIAGE: TypeAdapter[Triage] = TypeAdapter(Triage)

_FIELDS = ("size", "sources", "created_at", "updated_at", "triage", "theme_id")

_UNKNOWN: Mapping[str, Mapping[str, Value]] = MappingProxyType({})


def status_label(status: ClusterStatus) -> str:
    """Return the label of clusters with a status."""
    return f"status:{status}"


def source_label(source: str) -> str:
    """Return the label of clusters with items of a source."""
    return f"source:{source}"


def theme_label(theme_id: str) -> str:
    """Return the label of clusters in a theme."""
    return f"theme:{theme_id}"


def triage_of(stored: str | None) -> Triage:
    """Return the triage in a cluster's hash; hashes of older versions lack it."""
    return _TRIAGE.validate_python(stored or "open")


def changed_at(cluster_at: datetime, job: Job | None) -> datetime:
    """Return when a cluster changed last, its newest job included."""
    return cluster_at if job is None else max(cluster_at, job.updated_at)


def forget_cluster(pipe: Pipeline, project_id: str, cluster_id: str) -> None:
    """Delete a cluster's hash and text; its lists follow with `update_lists`."""
    pipe.delete(keys.cluster(project_id, cluster_id))
    pipe.hdel(keys.cluster_texts(project_id), cluster_id)


async def forget_empty(redis: Commands, project_id: str, cluster_ids: Sequence[str]) -> None:
    """Delete the hashes of those clusters that have no items."""
    if not cluster_ids:
        return
    pipe = redis.pipeline()
    counts = {cluster_id: pipe.zcard(keys.cluster_items(project_id, cluster_id)) for cluster_id in cluster_ids}
    await pipe.execute()
    transaction = redis.transaction()
    for cluster_id, count in counts.items():
        if not count.value:
            forget_cluster(transaction, project_id, cluster_id)
    await transaction.execute()


async def update_lists(
    redis: Commands, project_id: str, cluster_ids: Sequence[str], hashes: Mapping[str, Mapping[str, Value]] = _UNKNOWN
) -> None:
    """Bring the lists up to date with these clusters; a cluster without a hash is in none of them.

    `hashes` are those that the caller has just written; the others are read.
    """
    for first in range(0, len(cluster_ids), LISTED_AT_ONCE):
        await _update_lists(redis, project_id, cluster_ids[first : first + LISTED_AT_ONCE], hashes)


async def _update_lists(
    redis: Commands, project_id: str, cluster_ids: Sequence[str], hashes: Mapping[str, Mapping[str, Value]]
) -> None:
    pipe = redis.pipeline()
    listed = pipe.hmget(keys.cluster_labels(project_id), cluster_ids)
    read = {i: pipe.hmget(keys.cluster(project_id, i), _FIELDS) for i in cluster_ids if i not in hashes}
    all_jobs = pipe.zcard(keys.jobs(project_id))
    await pipe.execute()
    newest = await _newest_jobs(redis, cluster_ids) if all_jobs.value else {}
    before = {i: set(json.loads(text)) for i, text in zip(cluster_ids, listed.value, strict=True) if text is not None}
    now: dict[str, _Listing] = {}
    for i in cluster_ids:
        fields = [str(hashes[i][name]) for name in _FIELDS] if i in hashes else read[i].value
        if fields[0] is not None:
            now[i] = _listing([field or "" for field in fields], newest.get(i))
    await _write_lists(redis, project_id, cluster_ids, before, now)


async def _newest_jobs(redis: Commands, cluster_ids: Sequence[str]) -> dict[str, Job]:
    """Return the newest job of each cluster that has one."""
    pipe = redis.pipeline()
    found = {i: pipe.zrevrange(keys.cluster_jobs(i), 0, 0) for i in cluster_ids}
    await pipe.execute()
    newest = {i: ids.value[0] for i, ids in found.items() if ids.value}
    jobs = {job.id: job for job in await read_jobs(redis, list(newest.values()))}
    return {i: jobs[job_id] for i, job_id in newest.items()}


@dataclass(frozen=True, slots=True)
class _Listing:
    """How a cluster is listed: its labels, and its score in each order."""

    labels: tuple[str, ...]
    scores: Mapping[str, float]


def _listing(fields: Sequence[str], job: Job | None) -> _Listing:
    """Return how a cluster with these `_FIELDS` and this newest job is listed."""
    size, sources, created, updated, triage, theme_id = fields
    created_at, updated_at = datetime.fromisoformat(created), datetime.fromisoformat(updated)
    status = cluster_status(job, triage_of(triage))
    scores: Mapping[ClusterOrder, float] = {
        "largest": _rank(int(size), created_at),
        "newest": created_at.timestamp(),
        "updated": changed_at(updated_at, job).timestamp(),
    }
    themes = (theme_label(theme_id),) if theme_id else ()  # hashes of older versions lack it
    labels = (status_label(status), *map(source_label, json.loads(sources)), *themes)
    return _Listing(labels, {ORDERS[order]: score for order, score in scores.items()})


def _rank(size: int, created_at: datetime) -> float:
    """Return the score by size: the size and, as a fraction of one, the age (2 ** 33 seconds is the year 2242)."""
    at = min(max(created_at.timestamp(), 0.0), 2.0**33 - 1)
    return size + at / 2**33


async def _write_lists(
    redis: Commands,
    project_id: str,
    cluster_ids: Sequence[str],
    before: Mapping[str, Collection[str]],
    now: Mapping[str, _Listing],
) -> None:
    """Write the lists, all or nothing: the stored labels of a cluster say which lists it has to leave."""
    leaving: dict[str, list[str]] = defaultdict(list)
    staying: dict[str, dict[str, float]] = defaultdict(dict)
    for cluster_id in cluster_ids:
        listing = now.get(cluster_id)
        labels = set(listing.labels) if listing is not None else set()
        for label in set(before.get(cluster_id, ())) - labels:
            for order in ORDERS.values():
                leaving[keys.clusters_labelled(project_id, order, label)].append(cluster_id)
        if listing is None:
            for order in ORDERS.values():
                leaving[keys.clusters(project_id, order)].append(cluster_id)
            continue
        for order, score in listing.scores.items():
            staying[keys.clusters(project_id, order)][cluster_id] = score
            for label in listing.labels:
                staying[keys.clusters_labelled(project_id, order, label)][cluster_id] = score
    transaction = redis.transaction()
    for key, members in leaving.items():
        transaction.zrem(key, *members)
    for key, scores in staying.items():
        transaction.zadd(key, scores)
    labels_key = keys.cluster_labels(project_id)
    if now:
        transaction.hset(labels_key, {i: json.dumps(listing.labels) for i, listing in now.items()})
    if gone := [i for i in cluster_ids if i not in now]:
        transaction.hdel(labels_key, *gone)
    await transaction.execute()
