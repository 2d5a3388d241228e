"""The two kinds of consumer: one outside any group, which commits nothing, and one of a group, which commits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.careful import CarefulConsumer, SetAside, pass_over
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors
from soulcaster.adapters.kafka.records import record_of
from soulcaster.domain.lost_records import lost_records
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.services.retrying import until_available
from soulcaster.services.stopped_partitions import StoppedPartitions
from soulcaster.wire.topics import DEAD_LETTERS

SESSION_MS = 12_000
"""After this long without a heartbeat the group takes a consumer for dead."""

HEARTBEAT_MS = 3_000

PASS_SECONDS = 5.0
"""How often it is seen whether only what is no record is left to commit."""

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
    set_aside: SetAside = pass_over,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that joins no group and commits nothing; the caller assigns partitions and seeks.

    It reads what is committed, up to the first open transaction, where `end_offsets` says that partitions end; records
    that cannot be read are passed over, once `set_aside` knows of them. `timeout` is in seconds, to connect;
    `max_wait_ms` is how long a broker holds back a fetch that has no data yet, and `fetch_bytes` what it sends of a
    partition at once, unless the next records were written as one larger batch.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    consumer = CarefulConsumer(
        **kafka.options(),
        set_aside=set_aside,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=max_wait_ms,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        async with unavailable_errors(kafka):
            async with asyncio.timeout(timeout):
                await consumer.start()
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
    Records that cannot be read are set aside, and it goes on behind them.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        group: str,
        *,
        set_aside: SetAside,
        revoked: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Connect nothing yet; `async with` does.

        `set_aside` is told of records that cannot be read. `revoked` is called when partitions are taken away; their
        uncommitted records come again, here or elsewhere.
        """
        self._kafka = kafka
        self._topic = topic
        self._revoked = revoked
        self._stopped = StoppedPartitions()
        self._passing: asyncio.Task[None] | None = None
        self._consumer = CarefulConsumer(
            **kafka.options(),
            set_aside=set_aside,
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
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._consumer.start()
        except KafkaUnavailable:
            await self._consumer.stop()
            raise
        self._passing = asyncio.create_task(self._pass_what_is_no_record())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._passing is not None:
            self._passing.cancel()
            await asyncio.wait({self._passing})
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

    async def commit(self, record: Record) -> None:
        """Commit a record and all before it in its partition.

        Raises:
            KafkaUnavailable: the group's coordinator does not answer.
        """
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1}
        async with unavailable_errors(self._kafka, "did not take a commit"):
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._consumer.commit(offsets)
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

    async def _pass_what_is_no_record(self) -> None:
        """Commit what is behind the last record and is none, as a marker of a transaction is: it is no work left."""
        while True:
            await asyncio.sleep(PASS_SECONDS)
            for tp in self._consumer.assignment():
                try:
                    async with unavailable_errors(self._kafka):
                        committed = await self._consumer.committed(tp) or 0
                        behind = self._consumer.past_no_records(tp, committed)
                        if behind > committed:
                            await self._consumer.commit({tp: behind})
                except (IllegalStateError, KafkaUnavailable):
                    continue  # the partition has moved, or Kafka is away: later is early enough

    async def _spans(
        self, partitions: Collection[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        async with unavailable_errors(self._kafka):
            return await self._consumer.beginning_offsets(partitions), await self._consumer.log_ends(partitions)
