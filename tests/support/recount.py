"""Counting what there is, from the log alone and from Redis alone, so that the two can be held against each other."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast
from uuid import UUID

from aiokafka import TopicPartition
from pydantic import ValidationError
from redis.asyncio import Redis

from agents.rounds import QUIET_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.events import ClusterChanged, ClusterMerged, ClusterRestored, ItemAssigned
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.segments import Segments
from soulcaster.ports.messaging import Record
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from soulcaster.wire.cluster_events import ClusterEvents
from soulcaster.wire.feedback import ItemsEnvelope
from soulcaster.wire.message import Message
from soulcaster.wire.topics import CLUSTER_EVENTS, DEAD_LETTERS, FEEDBACK_ITEMS, changelog

M = TypeVar("M", bound=Message)

REST_SECONDS = QUIET_SECONDS / 4
"""Clusters are at rest when nothing has been said of them for so long."""


@dataclass(frozen=True)
class Log:
    """What the log says of one project."""

    items: set[str]
    assigned: dict[str, str]
    sizes: dict[str, int]
    stored: dict[str, str]
    stored_sizes: dict[str, int]
    seen: set[str]


@dataclass(frozen=True)
class Shown:
    """What Redis says of one project; `doubled` are items that are in two clusters."""

    items: set[str]
    assigned: dict[str, str]
    members: dict[str, str]
    doubled: set[str]
    unclustered: set[str]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Findings:
    """What is wrong with a project: items that are lost somewhere, and what differs between log, tables and Redis."""

    lost: set[str]
    doubled: tuple[str, ...]


async def read_all(settings: Settings, topic: str) -> list[Record]:
    """Return everything a topic holds."""
    return [record for record, _ in await read_all_with_headers(settings, topic)]


async def read_all_with_headers(settings: Settings, topic: str) -> list[tuple[Record, dict[str, bytes]]]:
    """Return everything a topic holds, with the headers of each."""
    partitions = [TopicPartition(topic, p) for p in range(settings.partitions)]
    records = []
    async with standalone_consumer(kafka_access(settings)) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += [
                    (Record(m.topic, m.partition, m.offset, m.timestamp, m.key, m.value), dict(m.headers))
                    for m in batch
                ]
    return records


async def dead_letters(settings: Settings) -> list[bytes]:
    return [record.value or b"" for record in await read_all(settings, DEAD_LETTERS.name)]


# ---- the log ---------------------------------------------------------------------------------------------------------


@dataclass
class _Events:
    """What cluster.events says of one project."""

    assigned: dict[str, str] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def take(self, happened: ClusterEvents) -> None:
        for event in happened.events:
            match event:
                case ItemAssigned():
                    self.assigned[event.item_id] = event.cluster_id
                case ClusterMerged():
                    self.merged[event.cluster_id] = event.into_id
                    self.merged.pop(event.into_id, None)
                case ClusterRestored():
                    self.merged.pop(event.cluster_id, None)
                case ClusterChanged():
                    self.sizes[event.cluster_id] = event.size


async def arrivals(settings: Settings, project_id: str) -> dict[str, int]:
    """Return how often each item of a project was put into a cluster because it arrived; rounds move items later."""
    counts: Counter[str] = Counter()
    for record in await read_all(settings, CLUSTER_EVENTS.name):
        if (happened := parsed(ClusterEvents, record)) and happened.project_id == project_id:
            assigned = (event for event in happened.events if isinstance(event, ItemAssigned))
            counts.update(
                e.item_id for e in assigned if e.change != "moved" and e.rule not in ("consolidation", "person")
            )
    return dict(counts)


async def from_log(settings: Settings, project_id: str) -> Log:
    return (await from_logs(settings, [project_id]))[project_id]


async def from_logs(settings: Settings, project_ids: Collection[str]) -> dict[str, Log]:
    items: dict[str, set[str]] = defaultdict(set)
    for record in await read_all(settings, FEEDBACK_ITEMS.name):
        if envelope := parsed(ItemsEnvelope, record):
            items[envelope.project_id] |= {item.id for item in envelope.items}
    events: dict[str, _Events] = defaultdict(_Events)
    for record in await read_all(settings, CLUSTER_EVENTS.name):
        if happened := parsed(ClusterEvents, record):
            events[happened.project_id].take(happened)
    clusters, seen = await _table(settings, "clusters"), await _table(settings, "seen")
    found = {}
    for project_id in project_ids:
        said = events[project_id]
        stored, stored_sizes = _stored(*clusters.get(project_id, ({}, 0)), project_id)
        marks, partition = seen.get(project_id, ({}, 0))
        seen_ids = Segments(MARK_BYTES, _rows(marks, partition, project_id)).records()
        found[project_id] = Log(
            items[project_id],
            _standing(said.assigned, said.merged),
            said.sizes,
            stored,
            stored_sizes,
            {str(UUID(bytes=key)) for key in seen_ids},
        )
    return found


def _stored(rows: dict[bytes, bytes], partition: int, project_id: str) -> tuple[dict[str, str], dict[str, int]]:
    """Return the cluster of each item and the size of each of these clusters, as the table has them."""
    segments = Segments(RECORD_BYTES, _rows(rows, partition, project_id))
    recorded = [str(UUID(bytes=key)) for key in segments.records()]
    state = ProjectClusters(project_id, segments)
    # What has no cluster is a command or a job, which are remembered among the items.
    stored = {i: c for i, c in zip(recorded, state.cluster_of(recorded), strict=True) if c is not None}
    sizes = {}
    for cluster_id in set(stored.values()):
        cluster = state.cluster(cluster_id)
        assert cluster is not None
        sizes[cluster_id] = cluster.size
    return stored, sizes


def _standing(assigned: dict[str, str], merged: dict[str, str]) -> dict[str, str]:
    """Return which cluster each item is in now, given where it was put and what was merged into what."""

    def standing(cluster_id: str) -> str:
        while cluster_id in merged:
            cluster_id = merged[cluster_id]
        return cluster_id

    return {item_id: standing(cluster_id) for item_id, cluster_id in assigned.items()}


def parsed(model: type[M], record: Record) -> M | None:
    """Return the message, or None for one that a test put there to poison the topic."""
    try:
        return model.model_validate_json(record.value or b"")
    except ValidationError:
        return None


def _rows(table: dict[bytes, bytes], partition: int, project_id: str) -> dict[str, bytes]:
    prefix = f"{partition}|{project_id}|".encode()
    return {key.removeprefix(prefix).decode(): row for key, row in table.items() if key.startswith(prefix)}


async def _table(settings: Settings, name: str) -> dict[str, tuple[dict[bytes, bytes], int]]:
    """Return the rows of each project in a table, and its partition."""
    rows: dict[str, tuple[dict[bytes, bytes], int]] = {}
    for record in await read_all(settings, changelog(settings.app_id, name).name):
        assert record.key is not None
        project_id = record.key.split(b"|")[1].decode()
        known, _ = rows.get(project_id, ({}, 0))
        rows[project_id] = known, record.partition
        if record.value:
            known[record.key] = record.value
        else:
            known.pop(record.key, None)
    return rows


# ---- Redis -----------------------------------------------------------------------------------------------------------


async def from_redis(settings: Settings, project_id: str) -> Shown:
    redis: Redis = Redis.from_url(settings.redis_url, decode_responses=True)
    p = project_id
    try:
        items = set(cast(list[str], await redis.zrange(f"feedback:created:{p}", 0, -1)))
        assigned = cast(dict[str, str], await redis.hgetall(f"feedback:cluster:{p}"))
        merged = cast(dict[str, str], await redis.hgetall(f"clusters:{p}:alias"))
        clusters = cast(list[str], await redis.zrange(f"clusters:{p}:all", 0, -1))
        members: dict[str, str] = {}
        doubled = set()
        sizes = {}
        for cluster_id in clusters:
            for item_id in cast(list[str], await redis.zrange(f"cluster:items:{p}:{cluster_id}", 0, -1)):
                if item_id in members:
                    doubled.add(item_id)
                members[item_id] = cluster_id
            sizes[cluster_id] = int(await redis.hget(f"cluster:{p}:{cluster_id}", "size") or 0)
        unclustered = cast(set[str], await redis.smembers(f"feedback:unclustered:{p}"))
        return Shown(items, _standing(assigned, merged), members, doubled, unclustered, sizes)
    finally:
        await redis.aclose()


# ---- both ------------------------------------------------------------------------------------------------------------


def compare(accepted: set[str], log: Log, shown: Shown) -> Findings:
    """Return what is wrong where each accepted id must be in one cluster, the same one everywhere, counted once."""
    everywhere: list[set[str]] = [
        log.items, log.seen, {*log.assigned}, {*log.stored}, shown.items, {*shown.assigned}, {*shown.members},
    ]  # fmt: skip
    lost = {i for i in accepted if i in shown.unclustered or not all(i in place for place in everywhere)}
    known = set().union(*everywhere) | shown.unclustered
    doubled = [f"{item_id} was never posted" for item_id in known - accepted]
    doubled += [f"{item_id} is in two clusters" for item_id in shown.doubled]
    for item_id in accepted - lost:
        places = {log.assigned[item_id], log.stored[item_id], shown.assigned[item_id], shown.members[item_id]}
        if len(places) > 1:
            doubled.append(f"{item_id} is in {len(places)} clusters: {places}")
    counts: Mapping[str, int] = Counter(shown.members.values())
    for cluster_id in {*counts, *shown.sizes, *log.stored_sizes}:
        said = {
            "members": counts.get(cluster_id, 0),
            "shown": shown.sizes.get(cluster_id, 0),
            "the event": log.sizes.get(cluster_id, 0),
            "the table": log.stored_sizes.get(cluster_id, 0),
        }
        if len(set(said.values())) > 1:
            doubled.append(f"the size of cluster {cluster_id} differs: {said}")
    return Findings(lost, tuple(doubled))


async def at_rest(settings: Settings, project_ids: Collection[str]) -> dict[str, tuple[Log, Shown]]:
    """Recount while nothing changes: rounds go on after the last item, and what one changes takes many messages."""
    async with asyncio.timeout(240), offsets_of(kafka_access(settings)) as offsets:
        while True:
            before = await offsets.spans([CLUSTER_EVENTS.name])
            await asyncio.sleep(REST_SECONDS)
            if await offsets.spans([CLUSTER_EVENTS.name]) != before:
                continue
            logs = await from_logs(settings, project_ids)
            shown = {project_id: await from_redis(settings, project_id) for project_id in project_ids}
            if await offsets.spans([CLUSTER_EVENTS.name]) == before:
                return {project_id: (logs[project_id], shown[project_id]) for project_id in project_ids}


async def assert_nothing_lost(settings: Settings, project_id: str, accepted: set[str]) -> None:
    """Assert that each accepted id is in one cluster, the same one in the log, the tables and Redis, counted once."""
    found = compare(accepted, *(await at_rest(settings, [project_id]))[project_id])
    assert not found.lost, f"{len(found.lost)} of {len(accepted)} were lost"
    assert not found.doubled, "; ".join(found.doubled)
