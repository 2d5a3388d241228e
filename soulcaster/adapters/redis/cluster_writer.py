"""Writing cluster events to Redis."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains
from soulcaster.adapters.redis.cluster_lists import forget_empty, update_lists
from soulcaster.adapters.redis.clustering import add_reports
from soulcaster.adapters.redis.clusters import cluster_fields, searched_text
from soulcaster.adapters.redis.feedback import assignment_value
from soulcaster.adapters.redis.item_writer import ItemWriter
from soulcaster.adapters.redis.merges import MergeWriter
from soulcaster.adapters.redis.notices import NoticeWriter, cluster_notice
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.events import (
    ClusterChanged,
    ClusterEvent,
    ClusterMerged,
    ClusterRestored,
    ItemAssigned,
    ItemRemoved,
)


class ClusterWriter:
    """Applies cluster events."""

    def __init__(self, items: ItemWriter, notices: NoticeWriter) -> None:
        self._items = items
        self._merges = MergeWriter(notices)
        self._notices = notices

    async def apply(self, redis: Commands, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply events in order, in runs: those that state how things are, merges, undone merges, removals."""
        for _, group in groupby(events, _run_of):
            run = list(group)
            if merged := [event for event in run if isinstance(event, ClusterMerged)]:
                await self._merges.merge(redis, project_id, merged)
            elif restored := [event for event in run if isinstance(event, ClusterRestored)]:
                for event in restored:
                    await self._merges.restore(redis, project_id, event)
            elif removed := [event for event in run if isinstance(event, ItemRemoved)]:
                clusters = {event.item_id: event.cluster_id for event in removed}
                await self._items.delete(redis, project_id, clusters)
                await redis.hdel(keys.assigned_clusters(project_id), *clusters)
            else:
                await self._apply_states(redis, project_id, run)

    async def _apply_states(self, redis: Commands, project_id: str, events: Sequence[ClusterEvent]) -> None:
        """Apply events that state how things are: of each thing only the last one counts, and is written."""
        assigned = {e.item_id: e for e in events if isinstance(e, ItemAssigned)}
        changed = {e.cluster_id: e for e in events if isinstance(e, ClusterChanged)}
        leaving = await _leaving(redis, project_id, events, assigned)
        joining: dict[str, dict[str, float]] = defaultdict(dict)
        for event in assigned.values():
            joining[event.cluster_id][event.item_id] = event.item_created_at.timestamp()
        chain_of = await chains(redis, project_id, {*leaving, *joining, *changed})

        pipe = redis.pipeline()
        for cluster_id, items in leaving.items():
            for link in chain_of[cluster_id]:
                pipe.zrem(keys.cluster_items(project_id, link), *items)
        for cluster_id, scores in joining.items():
            for link in chain_of[cluster_id]:
                pipe.zadd(keys.cluster_items(project_id, link), scores)
        # A merged cluster changes only in events that come again; its merge comes again, too.
        shown = {cluster_id: e for cluster_id, e in changed.items() if len(chain_of[cluster_id]) == 1}
        hashes = {cluster_id: cluster_fields(cluster) for cluster_id, cluster in shown.items()}
        for cluster_id, fields in hashes.items():
            pipe.hset(keys.cluster(project_id, cluster_id), fields)
        if shown:
            texts = {i: searched_text(cluster.title, cluster.summary) for i, cluster in shown.items()}
            pipe.hset(keys.cluster_texts(project_id), texts)
        add_reports(pipe, project_id, events)
        filled = {link for cluster_id in joining for link in chain_of[cluster_id]}
        left = {link for cluster_id in leaving for link in chain_of[cluster_id]}
        maybe_empty = (left | set(shown)) - filled
        touched = sorted(maybe_empty | set(shown))
        if touched:
            await pipe.execute()
            await forget_empty(redis, project_id, sorted(maybe_empty))
            lasting = {cluster_id: fields for cluster_id, fields in hashes.items() if cluster_id not in maybe_empty}
            await update_lists(redis, project_id, touched, lasting)
        if assigned:
            pipe.sadd(keys.projects(), project_id)
            pipe.srem(keys.unclustered(project_id), *assigned)
            pipe.hset(keys.assignments(project_id), {i: assignment_value(e) for i, e in assigned.items()})
            # Last, because it says which cluster an item leaves: after a crash before it, the same events do it again.
            pipe.hset(keys.assigned_clusters(project_id), {i: e.cluster_id for i, e in assigned.items()})
        self._notices.add(pipe, project_id, cluster_notice({chain[-1] for chain in chain_of.values()}, events))
        await pipe.execute()


def _run_of(event: ClusterEvent) -> type | None:
    """Return the type of an event that is applied with its like alone; None for those that state how things are."""
    return type(event) if isinstance(event, ClusterMerged | ClusterRestored | ItemRemoved) else None


async def _leaving(
    redis: Commands, project_id: str, events: Sequence[ClusterEvent], assigned: Mapping[str, ItemAssigned]
) -> dict[str, set[str]]:
    """Return by cluster the items that are not in it any more: they were in it before, or only passed through."""
    leaving: dict[str, set[str]] = defaultdict(set)
    if not assigned:
        return leaving
    for event in events:
        if isinstance(event, ItemAssigned) and event.cluster_id != assigned[event.item_id].cluster_id:
            leaving[event.cluster_id].add(event.item_id)
    before = await redis.hmget(keys.assigned_clusters(project_id), list(assigned))
    for cluster_id, event in zip(before, assigned.values(), strict=True):
        if cluster_id is not None and cluster_id != event.cluster_id:
            leaving[cluster_id].add(event.item_id)
    return leaving
