"""`soulcaster rebuild`: empties the read model and fills it again from Kafka, with the agent that keeps it.

Everything it shows is on topics that are kept forever: projects, people, API keys and settings on control; items;
cluster events; job events. Workers may run meanwhile. A replayed record may then overwrite what a worker has just
written with something older, so the rebuild ends only when no record arrived while it wrote its last ones, which are
then the newest.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.project import project
from agents.runtime.batches import MAX_RECORDS, Batch
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import Span, offsets_of
from soulcaster.adapters.kafka.records import record_of
from soulcaster.errors import NotFound
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.processes.settings import KafkaSettings
from soulcaster.wire.topics import AGENTS

FETCH_MS = 500
"""How long a fetch waits for records."""

log = structlog.get_logger(__name__)

Report = Callable[[int, int], None]


async def rebuild(settings: KafkaSettings, writer: ReadModelWriter, report: Report) -> int:
    """Empty the read model and fill it again; return how many records that took.

    Args:
        settings: where Kafka is.
        writer: writes the read model.
        report: receives (records read, records in all) as the work goes on.

    Raises:
        NotFound: a topic is missing.
        Unavailable: Kafka or Redis does not answer.
    """
    topics = {topic.name for topic in AGENTS["project"]}
    async with offsets_of(settings.kafka) as offsets:
        spans = await offsets.spans(topics)
    missing = topics - {tp.topic for tp in spans}
    if missing:
        raise NotFound(f"There is no topic {min(missing)}; `soulcaster topics` makes it.")
    done = 0
    async with standalone_consumer(settings.kafka) as consumer:
        consumer.assign(list(spans))
        for tp, span in spans.items():
            consumer.seek(tp, span.first)
        await writer.clear()
        async for count in project(_batches(consumer, spans, report), writer=writer, publisher=_DeadLettersKnown()):
            done += count
    return done


class _DeadLettersKnown:
    """Drops the dead letters of records that cannot be processed: they were sent when the records came first."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        log.warning("records that are dead letters are left out", count=len(messages))


async def _batches(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span], report: Report
) -> AsyncIterator[Batch]:
    """Yield batches up to the end of every topic, which is read anew before each one."""
    first = sum(span.first for span in spans.values())
    while True:
        ends = await consumer.end_offsets(list(spans))
        positions = {tp: await consumer.position(tp) for tp in spans}
        report(sum(positions.values()) - first, sum(ends.values()) - first)
        left = [tp for tp in spans if positions[tp] < ends[tp]]
        if not left:
            return
        found = await consumer.getmany(*left, timeout_ms=FETCH_MS, max_records=MAX_RECORDS)
        records = tuple(record_of(message) for messages in found.values() for message in messages)
        if records:
            yield Batch(records)
