"""Counting what there is, from the log alone and from Redis alone, so that the two can be held against each other."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TypeVar, cast
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError
from redis.asyncio import Redis

from agents.rounds import QUIET_SECONDS
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
from tables.segmented import SegmentedTable

M = TypeVar("M", bound=Message)


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
    """What Redis says of one project."""

    items: set[str]
    assigned: dict[str, str]
    members: dict[str, str]
    unclustered: set[str]
    sizes: dict[str, int]


async def read_all(settings: Settings, topic: str) -> list[Record]:
    """Return everything a topic holds."""
    partitions = [TopicPartition(topic, p) for p in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=8 * 1024 * 1024
    )
    await consumer.start()
    records = []
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += [Record(m.topic, m.partition, m.offset, m.timestamp, m.key, m.value) for m in batch]
    finally:
        await consumer.stop()
    return records


async def dead_letters(settings: Settings) -> list[bytes]:
    return [record.value or b"" for record in await read_all(settings, DEAD_LETTERS.name)]


async def from_log(settings: Settings, project_id: str) -> Log:
    items: set[str] = set()
    for record in await read_all(settings, FEEDBACK_ITEMS.name):
        envelope = _parsed(ItemsEnvelope, record)
        if envelope and envelope.project_id == project_id:
            items |= {item.id for item in envelope.items}
    assigned: dict[str, str] = {}
    merged: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for record in await read_all(settings, CLUSTER_EVENTS.name):
        happened = _parsed(ClusterEvents, record)
        if not happened or happened.project_id != project_id:
            continue
        for event in happened.events:
            match event:
                case ItemAssigned():
                    assigned[event.item_id] = event.cluster_id
                case ClusterMerged():
                    merged[event.cluster_id] = event.into_id
                    merged.pop(event.into_id, None)
                case ClusterRestored():
                    merged.pop(event.cluster_id, None)
                case ClusterChanged():
                    sizes[event.cluster_id] = event.size
    clusters, partition = await _table(settings, "clusters", project_id)
    segments = Segments(RECORD_BYTES, _rows(clusters, partition, project_id))
    recorded = [str(UUID(bytes=key)) for key in segments.records()]
    state = SegmentedTable(clusters, RECORD_BYTES, ProjectClusters).state(partition, project_id)
    # What has no cluster is a command or a job, which are remembered among the items.
    stored = {i: c for i, c in zip(recorded, state.cluster_of(recorded), strict=True) if c is not None}
    stored_sizes = {}
    for cluster_id in set(stored.values()):
        cluster = state.cluster(cluster_id)
        assert cluster is not None
        stored_sizes[cluster_id] = cluster.size
    seen_rows, seen_partition = await _table(settings, "seen", project_id)
    seen = Segments(MARK_BYTES, _rows(seen_rows, seen_partition, project_id)).records()
    return Log(items, _standing(assigned, merged), sizes, stored, stored_sizes, {str(UUID(bytes=key)) for key in seen})


def _standing(assigned: dict[str, str], merged: dict[str, str]) -> dict[str, str]:
    """Return which cluster each item is in now, given where it was put and what was merged into what."""

    def standing(cluster_id: str) -> str:
        while cluster_id in merged:
            cluster_id = merged[cluster_id]
        return cluster_id

    return {item_id: standing(cluster_id) for item_id, cluster_id in assigned.items()}


def _parsed(model: type[M], record: Record) -> M | None:
    """Return the message, or None for one that a test put there to poison the topic."""
    try:
        return model.model_validate_json(record.value or b"")
    except ValidationError:
        return None


def _rows(table: dict[bytes, bytes], partition: int, project_id: str) -> dict[str, bytes]:
    prefix = f"{partition}|{project_id}|".encode()
    return {key.removeprefix(prefix).decode(): row for key, row in table.items() if key.startswith(prefix)}


async def _table(settings: Settings, name: str, project_id: str) -> tuple[dict[bytes, bytes], int]:
    rows: dict[bytes, bytes] = {}
    partition = -1
    for record in await read_all(settings, changelog(settings.app_id, name).name):
        assert record.key is not None
        if record.key.split(b"|")[1] != project_id.encode():
            continue
        partition = record.partition
        if record.value:
            rows[record.key] = record.value
        else:
            rows.pop(record.key, None)
    return rows, partition


async def from_redis(settings: Settings, project_id: str) -> Shown:
    redis: Redis = Redis.from_url(settings.redis_url, decode_responses=True)
    p = project_id
    try:
        items = set(cast(list[str], await redis.zrange(f"feedback:created:{p}", 0, -1)))
        assigned = cast(dict[str, str], await redis.hgetall(f"feedback:cluster:{p}"))
        merged = cast(dict[str, str], await redis.hgetall(f"clusters:{p}:alias"))
        clusters = cast(list[str], await redis.zrange(f"clusters:{p}:all", 0, -1))
        members: dict[str, str] = {}
        sizes = {}
        for cluster_id in clusters:
            for item_id in cast(list[str], await redis.zrange(f"cluster:items:{p}:{cluster_id}", 0, -1)):
                assert item_id not in members, "an item is in two clusters"
                members[item_id] = cluster_id
            sizes[cluster_id] = int(await redis.hget(f"cluster:{p}:{cluster_id}", "size") or 0)
        unclustered = cast(set[str], await redis.smembers(f"feedback:unclustered:{p}"))
        return Shown(items, _standing(assigned, merged), members, unclustered, sizes)
    finally:
        await redis.aclose()


async def _at_rest(settings: Settings, project_id: str) -> tuple[Log, Shown]:
    """Recount while nothing changes: rounds go on after the last item, and what one changes takes many messages."""
    async with asyncio.timeout(120), offsets_of(kafka_access(settings)) as offsets:
        while True:
            before = await offsets.spans([CLUSTER_EVENTS.name])
            await asyncio.sleep(QUIET_SECONDS / 4)
            if await offsets.spans([CLUSTER_EVENTS.name]) != before:
                continue
            log, shown = await from_log(settings, project_id), await from_redis(settings, project_id)
            if await offsets.spans([CLUSTER_EVENTS.name]) == before:
                return log, shown


async def assert_nothing_lost(settings: Settings, project_id: str, accepted: set[str]) -> None:
    """Assert that each accepted id is in one cluster, the same one in the log, the tables and Redis, counted once."""
    log, shown = await _at_rest(settings, project_id)
    missing, foreign = accepted - log.items, log.items - accepted
    assert not missing, f"{len(missing)} of {len(accepted)} were lost before feedback.items"
    assert not foreign, f"{len(foreign)} items that nobody posted"
    assert set(log.assigned) == accepted
    assert log.stored == log.assigned
    assert log.seen == accepted
    counts = Counter(log.assigned.values())
    assert log.stored_sizes == counts
    assert {c: n for c, n in log.sizes.items() if c in counts} == counts
    assert shown.items == accepted
    assert shown.assigned == log.assigned
    assert shown.members == log.assigned
    assert shown.unclustered == set()
    assert shown.sizes == counts
