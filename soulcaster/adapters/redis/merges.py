"""Merges of clusters in Redis, and their undoing.

The items and jobs of a merged cluster stay in its own lists, and are added to those of every cluster that it is part
of. So an undone merge takes them out there, and needs nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains
from soulcaster.adapters.redis.cluster_lists import forget_cluster, forget_empty, update_lists
from soulcaster.adapters.redis.history import add_entry
from soulcaster.adapters.redis.notices import NoticeWriter, cluster_notice
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.events import ClusterMerged, ClusterRestored
from soulcaster.ports.clusters import HistoryEntry

MEMBERS_AT_ONCE = 10_000
"""Members that one command adds to a list or takes out; with more, every other client of Redis would wait."""

MERGES_AT_ONCE = 100
"""Merges that are applied together; all their items are in memory meanwhile."""


class MergeWriter:
    """Merges clusters, and restores merged ones."""

    def __init__(self, notices: NoticeWriter) -> None:
        self._notices = notices

    async def merge(self, redis: Commands, project_id: str, events: Iterable[ClusterMerged]) -> None:
        """Apply merges in order, together as long as they do not depend on one another."""
        for some in _independent(events):
            await self._merge(redis, project_id, some)

    async def restore(self, redis: Commands, project_id: str, event: ClusterRestored) -> None:
        """Undo a merge: the cluster has its own id again."""
        await _set_aliases(redis, project_id, {event.cluster_id: None})
        transaction = redis.transaction()
        entry = HistoryEntry("restored", "person", event.reason, event.at, command_id=event.command_id)
        add_entry(transaction, project_id, event.cluster_id, entry)
        self._notices.add(transaction, project_id, cluster_notice({event.cluster_id}))
        await transaction.execute()

    async def _merge(self, redis: Commands, project_id: str, events: Sequence[ClusterMerged]) -> None:
        # A cluster that others are merged into has no alias itself: an old one would redirect the new merge.
        await _set_aliases(redis, project_id, {event.into_id: None for event in events})
        await _set_aliases(redis, project_id, {event.cluster_id: event.into_id for event in events})
        transaction = redis.transaction()
        for e in events:
            forget_cluster(transaction, project_id, e.cluster_id)
            into = HistoryEntry("merged_into", e.by, e.reason, e.at, e.into_id, e.command_id)
            add_entry(transaction, project_id, e.cluster_id, into)
            merged = HistoryEntry("merged", e.by, e.reason, e.at, e.cluster_id, e.command_id)
            add_entry(transaction, project_id, e.into_id, merged)
        touched = {cluster_id for e in events for cluster_id in (e.cluster_id, e.into_id)}
        self._notices.add(transaction, project_id, cluster_notice(touched))
        await transaction.execute()
        await update_lists(redis, project_id, [event.cluster_id for event in events])


def _independent(events: Iterable[ClusterMerged]) -> Iterator[list[ClusterMerged]]:
    """Yield runs of merges in which no cluster is in another merge after it was merged itself."""
    run: list[ClusterMerged] = []
    merged: set[str] = set()
    into: set[str] = set()
    for event in events:
        if len(run) == MERGES_AT_ONCE or event.cluster_id in merged | into or event.into_id in merged:
            yield run
            run, merged, into = [], set(), set()
        run.append(event)
        merged.add(event.cluster_id)
        into.add(event.into_id)
    if run:
        yield run


async def _set_aliases(redis: Commands, project_id: str, aliases: Mapping[str, str | None]) -> None:
    """Make clusters aliases of others, or (None) clusters with an id of their own; move their items and jobs along.

    None of them may be the target of another one.
    """
    chain_of = await chains(redis, project_id, {c for pair in aliases.items() for c in pair if c is not None})
    before = {cluster_id: chain_of[cluster_id][1:] for cluster_id in aliases}
    after = {cluster_id: () if into is None else chain_of[into] for cluster_id, into in aliases.items()}
    changing = [cluster_id for cluster_id in aliases if before[cluster_id] != after[cluster_id]]
    if not changing:
        return
    await _move(redis, partial(keys.cluster_items, project_id), changing, before, after)
    await _move(redis, keys.cluster_jobs, changing, before, after)
    await forget_empty(redis, project_id, sorted({link for c in changing for link in before[c]}))
    touched = {link for c in changing for link in (*before[c], *after[c], c)}
    await update_lists(redis, project_id, sorted(touched))
    # Last, because the aliases say that all this is done: after a crash before this, the same events do it again.
    if removed := [c for c in changing if aliases[c] is None]:
        await redis.hdel(keys.aliases(project_id), *removed)
    if added := {c: into for c in changing if (into := aliases[c]) is not None}:
        await redis.hset(keys.aliases(project_id), added)


async def _move(
    redis: Commands,
    key_of: Callable[[str], str],
    changing: Sequence[str],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
) -> None:
    """Take the members of changing clusters out of the lists they leave, and add them to those they come into."""
    pipe = redis.pipeline()
    found = {cluster_id: pipe.zscored(key_of(cluster_id)) for cluster_id in changing}
    await pipe.execute()
    for cluster_id, members in found.items():
        for first in range(0, len(members.value), MEMBERS_AT_ONCE):
            chunk = dict(members.value[first : first + MEMBERS_AT_ONCE])
            for link in set(before[cluster_id]) - set(after[cluster_id]):
                pipe.zrem(key_of(link), *chunk)
            for link in after[cluster_id]:
                pipe.zadd(key_of(link), chunk)
    await pipe.execute()
