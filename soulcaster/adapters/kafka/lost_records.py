"""What consumer groups have lost, found from outside the groups, and accepting it."""

from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import TopicPartition

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.careful import CarefulConsumer, pass_over
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS, unavailable_errors
from soulcaster.adapters.kafka.damage import BatchReader
from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.domain.lost_records import DamagedRecords, LostRecords, LostTable, lost_records, lost_table
from soulcaster.errors import Conflict
from soulcaster.services.waiting import until
from soulcaster.wire.topics import TABLES, changelog

LEAVE_SECONDS = 15.0
"""After so long without a heartbeat no process is in a group of ours: longer than the session of any."""


async def find_lost_records(offsets: KafkaOffsets, group: str, topics: Collection[str]) -> list[LostRecords]:
    """Return the partitions of existing topics that a group cannot go on with.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    committed = await offsets.committed(group)
    spans = await offsets.spans(topics)
    ends = await offsets.log_ends(spans)
    found = (
        lost_records(tp.topic, tp.partition, committed=committed.get(tp), first=span.first, end=ends[tp])
        for tp, span in sorted(spans.items())
    )
    return [lost for lost in found if lost is not None]


async def find_damaged_records(
    offsets: KafkaOffsets, batches: BatchReader, group: str, topics: Collection[str]
) -> list[DamagedRecords]:
    """Return what a group cannot read next of the partitions of existing topics.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    committed = await offsets.committed(group)
    found: list[DamagedRecords] = []
    for tp, span in sorted((await offsets.spans(topics)).items()):
        at = committed.get(tp, 0)
        if span.first <= at:
            found += (await batches.damage(tp, at, span.end)).found
    return found


async def find_lost_tables(
    offsets: KafkaOffsets,
    batches: BatchReader,
    app_id: str,
    existing: Collection[str],
    set_aside: Collection[DamagedRecords],
) -> list[LostTable]:
    """Return the partitions of the workers' tables whose changelog has lost rows.

    Of rows that cannot be read only those are found that workers have `set_aside`.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    committed = await offsets.committed(app_id)
    found: list[LostTable] = []
    ours = {changelog(app_id, table).name for table in TABLES} & set(existing)
    for damaged in set_aside:
        tp = TopicPartition(damaged.topic, damaged.partition)
        if tp.topic in ours and (await batches.damage(tp, damaged.first, damaged.next)).found:
            found.append(LostTable(tp.topic, tp.partition, 0, damaged.next, damaged))
    for table, topics in TABLES.items():
        name = changelog(app_id, table).name
        if name not in existing:
            continue
        for tp, span in sorted((await offsets.spans([name])).items()):
            read = any(committed.get(TopicPartition(topic.name, tp.partition)) for topic in topics)
            lost = lost_table(name, tp.partition, read=read, first=span.first, end=span.end)
            if lost is not None:
                found.append(lost)
    return found


async def skip_lost_records(
    kafka: KafkaAccess,
    group: str,
    lost: Sequence[LostRecords],
    *,
    waits_for: Callable[[int], object] = lambda _members: None,
) -> None:
    """Let a group without members go on from the first record that each of these partitions can give.

    Kafka notices only after a while that a process was killed; `waits_for` is told of how many, if any.

    Raises:
        Conflict: a process of the group runs; Kafka takes commits from its members only.
        KafkaUnavailable: no broker answers.
    """
    async with offsets_of(kafka) as offsets:
        members = await offsets.members(group)
        if members:
            waits_for(members)
            members = await until(lambda: offsets.members(group), lambda left: not left, seconds=LEAVE_SECONDS)
    if members:
        raise Conflict(f"{members} processes of the group {group} run; stop them first, nothing else is lost by that.")
    await commit_offsets(kafka, group, {TopicPartition(one.topic, one.partition): one.first for one in lost})


async def commit_offsets(kafka: KafkaAccess, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit offsets for a group that has no members.

    Raises:
        KafkaUnavailable: no broker answers, or the group has members.
    """
    consumer = CarefulConsumer(
        **kafka.options(),
        set_aside=pass_over,
        group_id=group,
        enable_auto_commit=False,
        request_timeout_ms=int(REQUEST_SECONDS * 1000),
    )
    try:
        async with unavailable_errors(kafka, "did not take a commit"):
            await consumer.start()
            consumer.assign(list(offsets))
            await consumer.commit(dict(offsets))
    finally:
        await consumer.stop()
