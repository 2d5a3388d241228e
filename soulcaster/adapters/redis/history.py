"""The history of clusters in Redis."""

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.typed import Commands, Pipeline
from soulcaster.ports.clusters import HistoryEntry

HISTORY_ENTRIES = 100
"""Entries that are kept of a cluster, the newest."""

_ENTRY: TypeAdapter[HistoryEntry] = TypeAdapter(HistoryEntry)


async def read_history(redis: Commands, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
    """Return what happened to a cluster, newest first."""
    entries = await redis.zrevrange(keys.cluster_history(project_id, cluster_id), 0, -1)
    return tuple(map(_ENTRY.validate_json, entries))


def add_entry(pipe: Pipeline, project_id: str, cluster_id: str, entry: HistoryEntry) -> None:
    """Add to a cluster's history; the same entry again is the same member."""
    key = keys.cluster_history(project_id, cluster_id)
    member = _ENTRY.dump_json(entry, exclude_none=True).decode()
    pipe.zadd(key, {member: entry.at.timestamp() if entry.at else 0.0})
    pipe.zkeep_highest(key, HISTORY_ENTRIES)
