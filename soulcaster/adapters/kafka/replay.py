"""Topics in Kafka, read again from their first record by a consumer without a group."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.careful import noting
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.records import record_of
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import NotFound
from soulcaster.ports.messaging import Record
from soulcaster.ports.replay import ReportProgress
from soulcaster.ports.topic_copy import Span

BATCH_RECORDS = 1_000


class KafkaReplay:
    """Replay over Kafka; `open_replay` makes it."""

    def __init__(
        self, consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span], damaged: Sequence[DamagedRecords] = ()
    ) -> None:
        self._consumer = consumer
        self._spans = spans
        self.damaged = damaged
        """What could not be read so far, and was left out."""

    @property
    def partitions(self) -> Collection[int]:
        """The numbers of the partitions of all topics."""
        return {tp.partition for tp in self._spans}

    async def batches(self, report: ReportProgress) -> AsyncIterator[Sequence[Record]]:
        """Yield all records in batches; report before each how many are done."""
        partitions = list(self._spans)
        first = sum(span.first for span in self._spans.values())
        done: set[int] = set()
        while True:
            ends = await self._consumer.end_offsets(partitions)
            positions = {tp: await self._consumer.position(tp) for tp in partitions}
            report(sum(positions.values()) - first, sum(ends.values()) - first)
            new = {tp.partition for tp in partitions if positions[tp] < ends[tp]}
            done |= {tp.partition for tp in partitions} - new
            unread = [tp for tp in partitions if positions[tp] < ends[tp] and tp.partition not in done]
            if not unread:
                return
            found = await self._consumer.getmany(*unread, timeout_ms=FETCH_WAIT_MS, max_records=BATCH_RECORDS)
            if records := [record_of(message) for messages in found.values() for message in messages]:
                yield records


@asynccontextmanager
async def open_replay(kafka: KafkaAccess, topics: Collection[str]) -> AsyncIterator[KafkaReplay]:
    """Give a replay of topics from their first record on.

    Raises:
        NotFound: a topic does not exist.
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    async with offsets_of(kafka) as offsets:
        spans = await offsets.spans(topics)
    if missing := set(topics) - {tp.topic for tp in spans}:
        raise NotFound(f"There is no topic {min(missing)}; `soulcaster topics` makes it.")
    damaged: list[DamagedRecords] = []
    async with standalone_consumer(kafka, set_aside=noting(damaged)) as consumer:
        consumer.assign(list(spans))
        for tp, span in spans.items():
            consumer.seek(tp, span.first)
        yield KafkaReplay(consumer, spans, damaged)
