"""`soulcaster rebuild`: the read model emptied and made again from Kafka, by the agent that keeps it.

Everything it shows is on topics that are kept for ever: projects, people, keys and settings on control, items, cluster
events and job events. A worker may go on meanwhile. What is replayed may then overwrite what the worker has just
written with something older; so it ends only when nothing has come while its last records were written, which are then
the newest.
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
from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import AGENTS

log = structlog.get_logger(__name__)

Report = Callable[[int, int], None]


async def rebuild(settings: Settings, writer: ReadModelWriter, report: Report) -> int:
    """Empty the read model and make it again; return how many records it took. `report` gets (done, of how many).

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
        async for count in project(_batches(consumer, spans, report), writer=writer, publisher=_Known()):
            done += count
    return done


class _Known:
    """Takes the dead letters of records that cannot be applied: they were sent when these first came."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        log.warning("records that are among the dead letters are left out", count=len(messages))


async def _batches(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span], report: Report
) -> AsyncIterator[Batch]:
    """Yield all there is; asked for the next batch, the last one has been written."""
    first = sum(span.first for span in spans.values())
    while True:
        ends = await consumer.end_offsets(list(spans))
        at = {tp: await consumer.position(tp) for tp in spans}
        report(sum(at.values()) - first, sum(ends.values()) - first)
        left = [tp for tp in spans if at[tp] < ends[tp]]
        if not left:
            return
        found = await consumer.getmany(*left, timeout_ms=500, max_records=MAX_RECORDS)
        records = tuple(record_of(message) for of in found.values() for message in of)
        if records:
            yield Batch(records)
