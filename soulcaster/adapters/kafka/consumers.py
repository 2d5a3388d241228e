"""The two kinds of consumer: one outside any group, which commits nothing, and one of a group, which commits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors
from soulcaster.adapters.kafka.records import record_of
from soulcaster.domain.lost_records import DamagedRecords, lost_records
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services.retrying import until_available
from soulcaster.services.stopped_partitions import StoppedPartitions, named_by
from soulcaster.wire.topics import DEAD_LETTERS

SESSION_MS = 12_000
"""After this long without a heartbeat the group takes a consumer for dead."""

HEARTBEAT_MS = 3_000

IDLE_MS = 30 * 24 * 3600 * 1000
"""How long a consumer may ask for no record and stay in its group: while all slots of a launcher are taken, it asks for
none, and jobs take hours. Kafka's default is five minutes. Heartbeats say that it lives."""


@asynccontextmanager
async def standalone_consumer(
    kafka: KafkaAccess,
    *,
    timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109
    max_wait_ms: int = FETCH_WAIT_MS,
    fetch_bytes: int = DEAD_LETTERS.max_bytes,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that joins no group and commits nothing; the caller assigns partitions and seeks.

    `timeout` is in seconds, to connect; `max_wait_ms` is how long a broker holds back a fetch that has no data yet, and
    `fetch_bytes` what it sends of a partition at once, unless the next records were written as one larger batch.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    consumer = AIOKafkaConsumer(
        **kafka.options(),
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=max_wait_ms,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        async with unavailable_errors(kafka):
            await asyncio.wait_for(consumer.start(), timeout)
            await asyncio.sleep(0)  # a task of the consumer's that has not begun yet would make its stop raise
            yield consumer
    finally:
        await consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on that partitions were taken away or given."""

    def __init__(self, revoked: Callable[[], Awaitable[None]] | None, assigned: Callable[[], None]) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Pass it on, unless nothing was assigned."""
        if revoked and self._revoked is not None:
            await self._revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Pass it on; the records come by themselves."""
        self._assigned()


class GroupConsumer:
    """Reads one topic as a member of a consumer group; each record is committed once its work is done.

    A partition that does not have the committed offset any more stands still until a person has accepted the loss.
    """

    def __init__(
        self, kafka: KafkaAccess, topic: str, group: str, *, revoked: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Connect nothing yet; `async with` does.

        `revoked` is called when partitions are taken away; their uncommitted records come again, here or elsewhere.
        """
        self._kafka = kafka
        self._topic = topic
        self._revoked = revoked
        self._stopped = StoppedPartitions()
        self._consumer = AIOKafkaConsumer(
            **kafka.options(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",  # records that were deleted are not passed over
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=IDLE_MS,
            max_partition_fetch_bytes=DEAD_LETTERS.max_bytes,
        )

    async def __aenter__(self) -> Self:
        self._consumer.subscribe([self._topic], listener=_Listener(self._revoked, self._stopped.clear))
        try:
            async with unavailable_errors(self._kafka):
                await asyncio.wait_for(self._consumer.start(), REQUEST_SECONDS)
        except KafkaUnavailable:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._consumer.stop()

    async def records(self) -> AsyncIterator[Record]:
        """Yield records without end."""
        while True:
            try:
                yield record_of(await self._consumer.getone())
            except ConsumerStoppedError:
                return
            except NoOffsetForPartitionError as error:
                await self._begin_or_stop({error.args[0]: 0})
            except OffsetOutOfRangeError as error:
                await self._begin_or_stop(error.args[0])
            except CorruptRecordException as error:
                await self._stop_damaged(named_by(error, self._consumer.assignment()))

    async def commit(self, record: Record) -> None:
        """Commit a record and all before it in its partition.

        Raises:
            KafkaUnavailable: the group's coordinator does not answer.
        """
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1}
        async with unavailable_errors(self._kafka, "did not take a commit"):
            try:
                await asyncio.wait_for(self._consumer.commit(offsets), REQUEST_SECONDS)
            except (IllegalStateError, CommitFailedError):
                # The partition has moved: its new owner reads the record again, which is harmless.
                return

    async def _begin_or_stop(self, wanted: Mapping[TopicPartition, int]) -> None:
        """Begin new partitions at offset 0; stop those that do not have the offset from which they are to go on."""
        firsts, ends = await until_available(lambda: self._spans(list(wanted)))
        for tp, offset in wanted.items():
            lost = lost_records(tp.topic, tp.partition, committed=offset, first=firsts[tp], end=ends[tp])
            try:
                if lost is not None:
                    self._consumer.pause(tp)
                self._consumer.seek(tp, firsts[tp])
            except IllegalStateError:
                continue  # it has moved to another consumer
            if lost is not None:
                self._stopped.add([tp], lost)

    async def _stop_damaged(self, tp: TopicPartition) -> None:
        """Stop a partition whose next record the broker cannot give."""
        at = await self._consumer.position(tp)
        self._consumer.pause(tp)
        self._stopped.add([tp], DamagedRecords(tp.topic, tp.partition, at, at + 1))

    async def _spans(
        self, partitions: Collection[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        async with unavailable_errors(self._kafka):
            return await self._consumer.beginning_offsets(partitions), await self._consumer.end_offsets(partitions)
