"""Clusters in Redis: their values and their reader."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains, resolve
from soulcaster.adapters.redis.cluster_lists import (
    ORDERS,
    changed_at,
    source_label,
    status_label,
    theme_label,
    triage_of,
)
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.feedback import ITEM
from soulcaster.adapters.redis.history import read_history
from soulcaster.adapters.redis.jobs import outline_of, outline_sizes, read_outline
from soulcaster.adapters.redis.lists import ListRange, narrowed
from soulcaster.adapters.redis.sizes import Room
from soulcaster.adapters.redis.typed import Commands, Pipeline, Value
from soulcaster.domain.events import ClusterChanged
from soulcaster.domain.feedback.items import compared_item
from soulcaster.domain.lifecycle import ClusterStatus, Job, cluster_status
from soulcaster.ports.clusters import ClusterOrder, ClusterView, HistoryEntry
from soulcaster.ports.paging import Page
from soulcaster.services.threads import away

REPOSITORY_ITEMS = 20
"""Items of a cluster, the newest, that are asked for its repository."""

VIEWED_AT_ONCE = 100
"""Clusters of a list that are read together: more would hold up whoever else is served."""

SUMMARY_CHARS = 280
"""Of the newest item's text, where a cluster has no title."""


def cluster_fields(cluster: ClusterChanged) -> dict[str, Value]:
    """Return the hash of a cluster."""
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
        "theme_id": cluster.theme_id or "",
    }


def searched_text(title: str | None, summary: str | None) -> str:
    """Return the text of a cluster in which words are searched."""
    return f"{title}\n{summary}"


def _view(
    project_id: str, cluster_id: str, fields: Mapping[str, str], job: Job | None, repo_url: str | None
) -> ClusterView:
    """Return the cluster of a hash, with its newest job and its repository."""
    triage = triage_of(fields.get("triage"))
    return ClusterView(
        project_id=project_id,
        id=cluster_id,
        title=fields["title"],
        summary=fields["summary"],
        status=cluster_status(job, triage),
        size=int(fields["size"]),
        sources=tuple(json.loads(fields["sources"])),
        created_at=datetime.fromisoformat(fields["created_at"]),
        updated_at=changed_at(datetime.fromisoformat(fields["updated_at"]), job),
        github_pr_url=job.pr_url if job else None,
        error_message=job.error if job else None,
        # Hashes of older versions lack these.
        terms=tuple(json.loads(fields.get("terms", "[]"))),
        coherence=float(coherence) if (coherence := fields.get("coherence")) else None,
        titled_by="person" if fields.get("titled_by") == "person" else "machine",
        pinned=fields.get("pinned") == "1",
        parent_id=fields.get("parent_id") or None,
        github_repo_url=repo_url,
        triage=triage,
        theme_id=fields.get("theme_id") or None,
    )


class RedisClusters:
    """ClusterReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def list(
        self,
        project_id: str,
        *,
        status: ClusterStatus | None = None,
        source: str | None = None,
        theme_id: str | None = None,
        words: Sequence[str] = (),
        order: ClusterOrder = "largest",
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[ClusterView]:
        """Return one page of clusters."""
        labels = [] if status is None else [status_label(status)]
        if source is not None:
            labels.append(source_label(source))
        if theme_id is not None:
            labels.append(theme_label(theme_id))
        lists = [keys.clusters_labelled(project_id, ORDERS[order], label) for label in labels]
        async with self._connection.commands() as redis:

            async def texts_of(ids: Sequence[str]) -> list[str | None]:
                return await _texts(redis, project_id, ids)

            every = keys.clusters(project_id, ORDERS[order])
            found = await narrowed(redis, lists or [every], ListRange(limit, offset, after), words, texts_of)
            read, views = await _views(redis, project_id, found.ids)
            return found.first(read).page({view.id: view for view in views})

    async def get(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""
        async with self._connection.commands() as redis:
            _, found = await _views(redis, project_id, [await resolve(redis, project_id, cluster_id)])
        return found[0] if found else None

    async def get_many(self, project_id: str, cluster_ids: Collection[str]) -> Mapping[str, ClusterView]:
        """Return these clusters by the ids asked for; unknown ids are left out."""
        async with self._connection.commands() as redis:
            chain_of = await chains(redis, project_id, cluster_ids)
            left = sorted({chain[-1] for chain in chain_of.values()})
            found: dict[str, ClusterView] = {}
            while left:
                read, views = await _views(redis, project_id, left)
                found |= {view.id: view for view in views}
                left = left[read:]
        return {i: found[chain[-1]] for i, chain in chain_of.items() if chain[-1] in found}

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first."""
        async with self._connection.commands() as redis:
            return await read_history(redis, project_id, await resolve(redis, project_id, cluster_id))


async def _texts(redis: Commands, project_id: str, ids: Sequence[str]) -> list[str | None]:
    """Return the text in which words are searched, of each cluster; None where it is missing.

    Clusters that an older version wrote have theirs in their hashes only.
    """
    found = await redis.hmget(keys.cluster_texts(project_id), ids)
    pipe = redis.pipeline()
    older = {
        i: pipe.hmget(keys.cluster(project_id, i), ["title", "summary"])
        for i, text in zip(ids, found, strict=True)
        if text is None
    }
    await pipe.execute()
    for at, i in enumerate(ids):
        if i in older and None not in (fields := older[i].value):
            found[at] = searched_text(*fields)
    return found


async def _views(redis: Commands, project_id: str, ids: Sequence[str]) -> tuple[int, tuple[ClusterView, ...]]:
    """Return how many of the first ids fit a page, and the clusters that there are of these, in their order."""
    room = Room()
    views: list[ClusterView] = []
    for first in range(0, len(ids), VIEWED_AT_ONCE):
        some = ids[first : first + VIEWED_AT_ONCE]
        read, found = await _views_within(redis, project_id, some, room)
        views += found
        if read < len(some):
            return first + read, tuple(views)
    return len(ids), tuple(views)


async def _views_within(
    redis: Commands, project_id: str, ids: Sequence[str], room: Room
) -> tuple[int, tuple[ClusterView, ...]]:
    """Return how many of the first ids fit what is left of a page, and these clusters.

    Three round trips: hashes and ids of the newest jobs; the newest items, and what is long; what jobs and items add.
    One more where clusters have no title.
    """
    pipe = redis.pipeline()
    repository_count = pipe.hlen(keys.item_repositories(project_id))
    hashes = [pipe.hgetall(keys.cluster(project_id, i)) for i in ids]
    newest_jobs = [pipe.zrevrange(keys.cluster_jobs(i), 0, 0) for i in ids]
    await pipe.execute()
    known = {i: of.value for i, of in zip(ids, hashes, strict=True) if of.value}
    job_ids = {i: found.value[0] for i, found in zip(ids, newest_jobs, strict=True) if i in known and found.value}
    untitled = [i for i, fields in known.items() if not fields["title"]]
    has_repositories = repository_count.value > 0

    pipe = redis.pipeline()
    job_sizes = {i: outline_sizes(pipe, job_id) for i, job_id in job_ids.items()}
    item_count = REPOSITORY_ITEMS if has_repositories else 1
    newest = {
        i: pipe.zrevrange(keys.cluster_items(project_id, i), 0, item_count - 1)
        for i in (known if has_repositories else untitled)
    }
    await pipe.execute()
    items = {i: found.value for i, found in newest.items() if found.value}
    first_items = {i: items[i][0] for i in untitled if i in items}
    sizes = {i: sum(size.value for size in job_sizes.get(i, ())) for i in ids}
    for i, size in (await _sizes(redis, project_id, first_items)).items():
        sizes[i] += size
    read = room.take(sizes.values())
    known = {i: known[i] for i in ids[:read] if i in known}

    pipe = redis.pipeline()
    jobs = {i: read_outline(pipe, job_ids[i]) for i in known if i in job_ids}
    titles = _Titles(pipe, project_id, {i: item_id for i, item_id in first_items.items() if i in known})
    repositories = _Repositories(
        pipe, project_id, {i: items[i] for i in known if i in items} if has_repositories else {}
    )
    await pipe.execute()
    texts, urls = await away(titles.size(), titles.by_cluster), repositories.by_cluster()
    return read, tuple(
        _view(
            project_id,
            i,
            {**fields, **texts.get(i, {})},
            outline_of(jobs[i].value) if i in jobs else None,
            urls.get(i),
        )
        for i, fields in known.items()
    )


async def _sizes(redis: Commands, project_id: str, items: Mapping[str, str]) -> Mapping[str, int]:
    """Return the sizes of these items, by their cluster."""
    pipe = redis.pipeline()
    sizes = {i: pipe.strlen(keys.item(project_id, item_id)) for i, item_id in items.items()}
    if sizes:
        await pipe.execute()
    return {i: size.value for i, size in sizes.items()}


class _Titles:
    """Titles and summaries of clusters without a title, from their newest items, asked for in a pipeline.

    The texts that gave such a cluster its title were deleted, and its clusterer keeps no other.
    """

    def __init__(self, pipe: Pipeline, project_id: str, newest: Mapping[str, str]) -> None:
        """Add the commands; `newest` is the newest item of each cluster."""
        self._clusters = list(newest)
        self._texts = pipe.mget([keys.item(project_id, i) for i in newest.values()]) if newest else None

    def size(self) -> int:
        """Return how long the texts of all items are."""
        return sum(len(text) for text in self._texts.value if text is not None) if self._texts is not None else 0

    def by_cluster(self) -> dict[str, dict[str, str]]:
        """Return the fields of each cluster whose item is stored."""
        if self._texts is None:
            return {}
        found = zip(self._clusters, self._texts.value, strict=True)
        items = {cluster_id: ITEM.validate_json(text) for cluster_id, text in found if text is not None}
        return {
            i: {"title": item.title, "summary": compared_item(item).text[:SUMMARY_CHARS]} for i, item in items.items()
        }


class _Repositories:
    """The repositories that clusters are about, asked for in a pipeline, with one command for all."""

    def __init__(self, pipe: Pipeline, project_id: str, items: Mapping[str, Sequence[str]]) -> None:
        """Add the command; `items` are the newest items of each cluster."""
        self._items = items
        every = [i for some in items.values() for i in some]
        self._names = pipe.hmget(keys.item_repositories(project_id), every) if every else None

    def by_cluster(self) -> dict[str, str | None]:
        """Return the address of the repository that most of a cluster's items are about; among equals the first."""
        if self._names is None:
            return {}
        names = iter(self._names.value)
        return {cluster_id: _commonest([next(names) for _ in some]) for cluster_id, some in self._items.items()}


def _commonest(repositories: Sequence[str | None]) -> str | None:
    names = [name for name in repositories if name is not None]
    if not names:
        return None
    [(most, _)] = Counter(name.lower() for name in names).most_common(1)
    return f"https://github.com/{next(name for name in names if name.lower() == most)}"
