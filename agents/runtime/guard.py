"""What an agent does with a record that makes its own handling fail: set it aside, and go on with the others.

Faust commits the offset of an event whose agent raised, so nothing may pass. If even the dead letter cannot be sent the
process must end, with nothing acknowledged; `soulcaster.app` sees to it.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from soulcaster.ports.messaging import Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters

ATTEMPTS = 3
"""How often a single record that raises is tried before it is set aside."""

log = structlog.get_logger(__name__)


class Guard:
    """Runs an agent's work on records so that whatever is wrong with one of them stops none of the others."""

    def __init__(self, agent: str, publisher: Publisher) -> None:
        """Name the agent, for the logs, and give it a way to the dead letters."""
        self._agent = agent
        self._publisher = publisher

    async def run(self, records: Sequence[Record], work: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        """Do the work on all records; if it raises, on each alone, and set aside those that raise again.

        `work` must be idempotent. Waiting for systems that are away is its own affair (`until_available`).
        """
        if len(records) > 1:
            try:
                await work(records)
            except Exception:
                log.exception("a batch failed; trying its records one by one", agent=self._agent, records=len(records))
                for record in records:
                    await self.run([record], work)
            return
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await work(records)
            except Exception as error:
                if attempt < ATTEMPTS:
                    continue
                log.exception("a record failed for good", agent=self._agent, record=_place(records[0]))
                await send_dead_letters(self._publisher, [dead_letter(records[0], f"{self._agent}: {error!r}")])
            return


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
