"""A record that cannot be processed becomes a dead letter; the other records of its batch go on.

An agent must not raise into Faust, which commits the offset of an event whose agent raised: the record would be lost.
When not even the dead letter can be sent, the process ends with nothing acknowledged (`soulcaster.processes.worker`).
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from soulcaster.ports.messaging import Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters

ATTEMPTS = 3
"""How often a single record that raises is tried before it becomes a dead letter."""

log = structlog.get_logger(__name__)


class Guard:
    """Runs an agent's work so that one bad record does not stop the others."""

    def __init__(self, agent: str, publisher: Publisher) -> None:
        """`agent` is the name in logs and dead letters; `publisher` sends the dead letters."""
        self._agent = agent
        self._publisher = publisher

    async def run(self, records: Sequence[Record], work: Callable[[Sequence[Record]], Awaitable[int]]) -> int:
        """Do the work on all records; if it raises, on each alone. Return the sum of what `work` returned.

        A record that raises `ATTEMPTS` times alone becomes a dead letter and counts 0. `work` must be idempotent, and
        it waits for unavailable systems itself (`until_available`).

        Raises:
            KafkaUnavailable: a dead letter could not be sent.
        """
        if not records:
            return 0
        if len(records) == 1:
            return await self._run_one(records, work)
        try:
            return await work(records)
        except Exception:
            log.exception("a batch failed; trying its records one by one", agent=self._agent, records=len(records))
        return sum([await self._run_one([record], work) for record in records])

    async def _run_one(self, records: Sequence[Record], work: Callable[[Sequence[Record]], Awaitable[int]]) -> int:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await work(records)
            except Exception as error:
                if attempt == ATTEMPTS:
                    [record] = records
                    log.exception("a record failed for good", agent=self._agent, record=_position(record))
                    await send_dead_letters(self._publisher, [dead_letter(record, f"{self._agent}: {error!r}")])
        return 0


def _position(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
