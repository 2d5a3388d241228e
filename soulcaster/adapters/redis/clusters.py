"""Clusters in Redis: their values and their reader."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains, resolve
from soulcaster.adapters.redis.cluster_lists import ORDERS, changed_at, source_label, status_label
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.feedback import ITEM
from soulcaster.adapters.redis.history import read_history
from soulcaster.adapters.redis.jobs import job_of
from soulcaster.adapters.redis.lists import ListRange, narrowed
from soulcaster.adapters.redis.typed import Commands, Value
from soulcaster.domain.events import ClusterChanged
from soulcaster.domain.feedback.items import brief
from soulcaster.domain.lifecycle import ClusterStatus, Job, Triage, cluster_status
from soulcaster.ports.clusters import ClusterOrder, ClusterView, HistoryEntry
from soulcaster.ports.paging import Page

REPOSITORY_ITEMS = 20
"""Items of a cluster, the newest, that are asked for its repository."""

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
    }


def _view(
    project_id: str, cluster_id: str, fields: Mapping[str, str], job: Job | None, repo_url: str | None
) -> ClusterView:
    """Return the cluster of a hash, with its newest job and its repository."""
    triage = cast(Triage, fields.get("triage", "open"))
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
        titled_by=cast(Literal["machine", "person"], fields.get("titled_by", "machine")),
        pinned=fields.get("pinned") == "1",
        parent_id=fields.get("parent_id") or None,
        github_repo_url=repo_url,
        triage=triage,
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
        lists = [keys.clusters_labelled(project_id, ORDERS[order], label) for label in labels]
        async with self._connection.commands() as redis:

            async def texts_of(ids: Sequence[str]) -> list[str | None]:
                return await _texts(redis, project_id, ids)

            every = keys.clusters(project_id, ORDERS[order])
            found = await narrowed(redis, lists or [every], ListRange(limit, offset, after), words, texts_of)
            return found.page(await _views(redis, project_id, found.ids))

    async def get(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""
        async with self._connection.commands() as redis:
            found = await _views(redis, project_id, [await resolve(redis, project_id, cluster_id)])
        return found[0] if found else None

    async def get_many(self, project_id: str, cluster_ids: Collection[str]) -> Mapping[str, ClusterView]:
        """Return these clusters by the ids asked for; unknown ids are left out."""
        async with self._connection.commands() as redis:
            chain_of = await chains(redis, project_id, cluster_ids)
            resolved = sorted({chain[-1] for chain in chain_of.values()})
            found = {view.id: view for view in await _views(redis, project_id, resolved)}
        return {i: found[chain[-1]] for i, chain in chain_of.items() if chain[-1] in found}

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first."""
        async with self._connection.commands() as redis:
            return await read_history(redis, project_id, await resolve(redis, project_id, cluster_id))


async def _texts(redis: Commands, project_id: str, ids: Sequence[str]) -> list[str | None]:
    """Return the text in which words are searched, of each cluster; None where it is missing."""
    pipe = redis.pipeline()
    found = [pipe.hmget(keys.cluster(project_id, i), ["title", "summary"]) for i in ids]
    await pipe.execute()
    return [None if title is None else f"{title}\n{summary}" for title, summary in (fields.value for fields in found)]


async def _views(redis: Commands, project_id: str, ids: Sequence[str]) -> tuple[ClusterView, ...]:
    """Return the clusters that there are, in the order of their ids, in three round trips at most."""
    if not ids:
        return ()
    pipe = redis.pipeline()
    repository_count = pipe.hlen(keys.item_repositories(project_id))
    hashes = [pipe.hgetall(keys.cluster(project_id, i)) for i in ids]
    newest_jobs = [pipe.zrevrange(keys.cluster_jobs(i), 0, 0) for i in ids]
    await pipe.execute()
    known = {i: of.value for i, of in zip(ids, hashes, strict=True) if of.value}
    job_ids = {i: jobs.value[0] for i, jobs in zip(ids, newest_jobs, strict=True) if jobs.value}

    pipe = redis.pipeline()
    jobs = {i: pipe.hgetall(keys.job(job_ids[i])) for i in known if i in job_ids}
    has_repositories = repository_count.value > 0
    looked_at = REPOSITORY_ITEMS if has_repositories else 1
    asked = [i for i, fields in known.items() if has_repositories or not fields["title"]]
    newest = {i: pipe.zrevrange(keys.cluster_items(project_id, i), 0, looked_at - 1) for i in asked}
    await pipe.execute()

    newest_items = {i: members.value for i, members in newest.items() if members.value}
    titling = {i: members[0] for i, members in newest_items.items() if not known[i]["title"]}
    pipe = redis.pipeline()
    texts = pipe.mget([keys.item(project_id, i) for i in titling.values()]) if titling else None
    members = [i for some in newest_items.values() for i in some] if has_repositories else []
    repositories = pipe.hmget(keys.item_repositories(project_id), members) if members else None
    await pipe.execute()
    if texts is not None:
        for i, text in zip(titling, texts.value, strict=True):
            known[i] |= {} if text is None else _title_of(text)
    urls: dict[str, str | None] = {}
    if repositories is not None:
        found = iter(repositories.value)
        urls = {i: _commonest([next(found) for _ in some]) for i, some in newest_items.items()}
    return tuple(
        _view(project_id, i, fields, job_of(jobs[i].value) if i in jobs and jobs[i].value else None, urls.get(i))
        for i, fields in known.items()
    )


def _title_of(item_text: str) -> dict[str, str]:
    """Return title and summary of a cluster without a title, from its newest item.

    The texts that gave it a title were deleted, and its clusterer keeps no other.
    """
    item = ITEM.validate_json(item_text)
    return {"title": item.title, "summary": brief(item).text[:SUMMARY_CHARS]}


def _commonest(repositories: Sequence[str | None]) -> str | None:
    """Return the address of the repository that occurs most often; among equals the first."""
    names = [repository for repository in repositories if repository is not None]
    if not names:
        return None
    [(most, _)] = Counter(name.lower() for name in names).most_common(1)
    return f"https://github.com/{next(name for name in names if name.lower() == most)}"
