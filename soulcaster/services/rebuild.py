"""The read model, emptied and filled again from Kafka.

Nearly everything it shows is on topics that are kept forever: projects, people, API keys and settings on control;
items; cluster events; job events. Logs of jobs are on their topic for a month. Workers may run meanwhile: they and the
rebuild write a partition by turns (`ReadModelWriter.writing`). A replayed record may then overwrite what a worker has
just written with something older, so a partition is done only when no record arrived on it while its last ones were
written, which are then the newest. A project's records are on partitions of one number.
"""

from collections.abc import Sequence

import structlog

from soulcaster.errors import WriteLeaseLost
from soulcaster.ports.messaging import Record
from soulcaster.ports.read_model_writer import ReadModelWriter
from soulcaster.ports.replay import Replay, ReportProgress
from soulcaster.services.isolation import run_isolated
from soulcaster.services.projection import Projection
from soulcaster.wire.topics import AGENTS

REPLAYED_TOPICS = frozenset(topic.name for topic in AGENTS["project"])
"""The topics that the read model is made from."""

log = structlog.get_logger(__name__)


async def rebuild(replay: Replay, writer: ReadModelWriter, report: ReportProgress) -> int:
    """Empty the read model and fill it again; return how many records that took.

    Args:
        replay: a replay of `REPLAYED_TOPICS`.
        writer: a writer that adds no notices.
        report: receives (records read, records in all) before each batch.

    Raises:
        Unavailable: Kafka does not answer, or Redis not at the beginning, or workers leave no moment to begin; later
            Redis is waited for.
    """
    projection = Projection(writer)

    async def apply(records: Sequence[Record]) -> int:
        await projection.apply(records)
        return len(records)

    await _clear(replay, writer)
    count = 0
    async for records in replay.batches(report):
        await run_isolated(records, apply, _leave_out, name="rebuild")
        count += len(records)
    return count


async def _clear(replay: Replay, writer: ReadModelWriter) -> None:
    while True:
        try:
            async with writer.writing(replay.partitions):
                return await writer.clear()
        except WriteLeaseLost:
            log.warning("emptied again, because a worker may have written meanwhile")


async def _leave_out(record: Record, error: Exception) -> None:
    """Leave out a record that cannot be applied: it became a dead letter when it came first."""
    log.warning("a record that is a dead letter is left out", record=record.position, cause=repr(error))
