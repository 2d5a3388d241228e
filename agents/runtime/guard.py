"""A record that cannot be processed becomes a dead letter; the other records of its batch go on.

An agent must not raise into Faust, which commits the offset of an event whose agent raised: the record would be lost.
When not even the dead letter can be sent, the process ends with nothing acknowledged (`soulcaster.processes.worker`).
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from soulcaster.ports.messaging import Publisher, Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.isolation import run_isolated
from soulcaster.services.threads import away

log = structlog.get_logger(__name__)


class Guard:
    """Runs an agent's work so that one bad record does not stop the others."""

    def __init__(self, agent: str, publisher: Publisher) -> None:
        """`agent` is the name in logs and dead letters; `publisher` sends the dead letters."""
        self._agent = agent
        self._publisher = publisher

    async def run(self, records: Sequence[Record], work: Callable[[Sequence[Record]], Awaitable[int]]) -> int:
        """Do the work as `run_isolated` does; a record that it gives up becomes a dead letter.

        Raises:
            KafkaUnavailable: a dead letter could not be sent.
        """
        return await run_isolated(records, work, self._dead_letter, name=self._agent)

    async def _dead_letter(self, record: Record, error: Exception) -> None:
        log.exception("a record failed for good", agent=self._agent, record=record.position, exc_info=error)
        letter = await away(len(record.value or b""), lambda: dead_letter(record, f"{self._agent}: {error!r}"))
        await send_dead_letters(self._publisher, [letter], "failed")
