"""Writing items to Redis."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains
from soulcaster.adapters.redis.cluster_lists import forget_empty, update_lists
from soulcaster.adapters.redis.feedback import ITEM
from soulcaster.adapters.redis.notices import NoticeWriter, cluster_notice
from soulcaster.adapters.redis.typed import Commands, Pipeline
from soulcaster.domain.feedback.items import FeedbackItem, repo_of
from soulcaster.domain.feedback.versions import newest
from soulcaster.ports.notices import Notice
from soulcaster.ports.projects import ITEM_BYTES, TOMBSTONE_BYTES


class ItemWriter:
    """Stores and deletes items."""

    def __init__(self, notices: NoticeWriter) -> None:
        self._notices = notices

    async def put(self, redis: Commands, project_id: str, items: Sequence[FeedbackItem]) -> None:
        """Store items, in two round trips, and one more each for versions to compare, repositories, stored items."""
        versions = await _newest_versions(redis, project_id, items)
        ids = list(versions)
        pipe = redis.pipeline()
        assigned = pipe.hmget(keys.assigned_clusters(project_id), ids)
        repositories = pipe.hmget(keys.item_repositories(project_id), ids)
        are_deleted = pipe.smismember(keys.deleted_items(project_id), ids)
        times = pipe.zmscore(keys.items_by_time(project_id), ids)
        await pipe.execute()
        deleted = {i for i, is_deleted in zip(ids, are_deleted.value, strict=True) if is_deleted}
        kept = {i: item for i, item in versions.items() if i not in deleted}
        unclustered = [i for i, cluster in zip(ids, assigned.value, strict=True) if not cluster and i in kept]
        before = dict(zip(ids, repositories.value, strict=True))
        await _put_repositories(redis, project_id, kept.values(), before)
        stored = [i for i, at in zip(ids, times.value, strict=True) if at is not None and i in kept]
        replaced = await _sizes(redis, project_id, stored)

        # All or nothing: after a crash between an item and its count, the same item again would never be counted.
        pipe = redis.transaction()
        size = _add_items(pipe, project_id, kept.values())
        pipe.incr(keys.stored_bytes(project_id), size - replaced + ITEM_BYTES * (len(kept) - len(stored)))
        _add_occurrences(pipe, project_id, [item for item in items if item.id in kept])
        if unclustered:
            pipe.sadd(keys.unclustered(project_id), *unclustered)
        received: dict[str, float] = {}
        for item in versions.values():  # deleted ones too: they came from the source
            received[item.source] = max(received.get(item.source, 0.0), item.received_at.timestamp())
        pipe.zadd(keys.received(project_id), received, only_higher=True)
        pipe.sadd(keys.projects(), project_id)
        self._notices.add(pipe, project_id, Notice(items=len(kept)))
        await pipe.execute()

    async def delete(self, redis: Commands, project_id: str, items: Mapping[str, str | None]) -> None:
        """Delete items, each with the cluster that it is known to have been in.

        The cluster that an item was assigned to stays stored until its `ItemRemoved`, which is in order among the
        cluster's events.
        """
        ids = list(items)
        await _put_tombstones(redis, project_id, ids)
        pipe = redis.pipeline()
        texts = pipe.mget([keys.item(project_id, i) for i in ids])
        assigned = pipe.hmget(keys.assigned_clusters(project_id), ids)
        repositories = pipe.hmget(keys.item_repositories(project_id), ids)
        await pipe.execute()
        stored = [ITEM.validate_json(text) for text in texts.value if text is not None]
        freed = sum(len(text.encode()) + ITEM_BYTES for text in texts.value if text is not None)
        leaving: dict[str, set[str]] = defaultdict(set)
        for i, cluster in zip(ids, assigned.value, strict=True):
            for cluster_id in (cluster, items[i]):
                if cluster_id is not None:
                    leaving[cluster_id].add(i)
        chain_of = await chains(redis, project_id, leaving)

        pipe = redis.pipeline()
        for cluster_id, members in leaving.items():
            for link in chain_of[cluster_id]:
                pipe.zrem(keys.cluster_items(project_id, link), *members)
        pipe.zrem(keys.items_by_time(project_id), *ids)
        pipe.srem(keys.unclustered(project_id), *ids)
        pipe.hdel(keys.assignments(project_id), *ids)
        for i, repository in zip(ids, repositories.value, strict=True):
            if repository is not None:
                pipe.zrem(keys.items_of_repository(project_id, repository), i)
        pipe.hdel(keys.item_repositories(project_id), *ids)
        for item in stored:
            pipe.zrem(keys.items_of_source(project_id, item.source), item.id)
            pipe.delete(keys.item_by_external_id(project_id, item.source, item.external_id))
        left = {
            source: pipe.zcard(keys.items_of_source(project_id, source))
            for source in sorted({item.source for item in stored})
        }
        await pipe.execute()
        touched = sorted({link for cluster_id in leaving for link in chain_of[cluster_id]})
        await forget_empty(redis, project_id, touched)
        await update_lists(redis, project_id, touched)

        pipe = redis.transaction()
        for source, count in left.items():
            if not count.value:
                pipe.srem(keys.item_sources(project_id), source)
        # Last, because the items say what is to be done: after a crash before this, the same tombstone does it again.
        pipe.incr(keys.stored_bytes(project_id), -freed)
        pipe.delete(*(keys.occurrences(project_id, i) for i in ids), *(keys.item(project_id, i) for i in ids))
        self._notices.add(pipe, project_id, cluster_notice(touched))
        await pipe.execute()


async def _put_tombstones(redis: Commands, project_id: str, ids: Sequence[str]) -> None:
    """Store which items are deleted, and count those that were not, all or nothing."""
    pipe = redis.pipeline()
    are_deleted = pipe.smismember(keys.deleted_items(project_id), ids)
    await pipe.execute()
    transaction = redis.transaction()
    transaction.sadd(keys.deleted_items(project_id), *ids)
    transaction.incr(keys.stored_bytes(project_id), TOMBSTONE_BYTES * (len(ids) - sum(are_deleted.value)))
    await transaction.execute()


async def _newest_versions(redis: Commands, project_id: str, items: Sequence[FeedbackItem]) -> dict[str, FeedbackItem]:
    """Return each item as it is after all its versions, those that are stored included."""
    compared = sorted({item.id for item in items if item.updated_at is not None or item.words != "own"})
    versions: dict[str, FeedbackItem] = {}
    if compared:
        texts = await redis.mget([keys.item(project_id, i) for i in compared])
        versions = {item.id: item for item in (ITEM.validate_json(text) for text in texts if text is not None)}
    for item in items:
        known = versions.get(item.id)
        versions[item.id] = item if known is None else newest(known, item)
    return versions


async def _sizes(redis: Commands, project_id: str, ids: Sequence[str]) -> int:
    """Return the bytes of stored items together."""
    if not ids:
        return 0
    pipe = redis.pipeline()
    sizes = [pipe.strlen(keys.item(project_id, i)) for i in ids]
    await pipe.execute()
    return sum(size.value for size in sizes)


def _add_items(pipe: Pipeline, project_id: str, items: Collection[FeedbackItem]) -> int:
    """Write items and the lists that they are in; return the bytes of the items."""
    if not items:
        return 0
    size = 0
    created: dict[str, float] = {}
    by_source: dict[str, dict[str, float]] = defaultdict(dict)
    strings: dict[str, str | bytes] = {}
    for item in items:
        created[item.id] = by_source[item.source][item.id] = item.created_at.timestamp()
        text = strings[keys.item(project_id, item.id)] = ITEM.dump_json(item)
        size += len(text)
        strings[keys.item_by_external_id(project_id, item.source, item.external_id)] = item.id
    pipe.mset(strings)
    pipe.zadd(keys.items_by_time(project_id), created)
    for source, members in by_source.items():
        pipe.zadd(keys.items_of_source(project_id, source), members)
    pipe.sadd(keys.item_sources(project_id), *by_source)
    return size


def _add_occurrences(pipe: Pipeline, project_id: str, items: Sequence[FeedbackItem]) -> None:
    """Count the events that are one item."""
    occurrences: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.occurrence_id is not None:
            occurrences[item.id].add(item.occurrence_id)
    for item_id, ids in occurrences.items():
        pipe.pfadd(keys.occurrences(project_id, item_id), *sorted(ids))


async def _put_repositories(
    redis: Commands, project_id: str, items: Collection[FeedbackItem], before: Mapping[str, str | None]
) -> None:
    """Write the repository that each item is about, all or nothing: the one stored says which list it has to leave."""
    transaction = redis.transaction()
    for item in items:
        was, now = before[item.id], repo_of(item)
        if was is not None and (now is None or now.lower() != was.lower()):
            transaction.zrem(keys.items_of_repository(project_id, was), item.id)
            transaction.hdel(keys.item_repositories(project_id), item.id)
        if now is not None:
            transaction.zadd(keys.items_of_repository(project_id, now), {item.id: item.created_at.timestamp()})
            transaction.hset(keys.item_repositories(project_id), {item.id: now})
    await transaction.execute()
