"""What an agent does when something fails: wait for what is away, set aside what cannot be done, and never raise.

Faust commits the offset of an event whose agent raised, so nothing may pass: systems that are away are waited for (the
lag shows it), and a record that makes its own handling fail goes to the dead letters. If even that cannot be done the
process must end, with nothing acknowledged; `soulcaster.app` sees to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import stamina
import structlog

from soulcaster.errors import KafkaUnavailable, Unavailable
from soulcaster.ports import Outgoing, Publisher, Record
from soulcaster.topics import DEAD_LETTERS

T = TypeVar("T")

DEAD_LETTER_SECONDS = 60.0
"""How long a dead letter is tried; after that the process ends rather than lose it."""

ATTEMPTS = 3
"""How often a single record that raises is tried before it is set aside."""

log = structlog.get_logger(__name__)


async def until_available(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, trying again as long as the system it needs is away."""
    async for attempt in stamina.retry_context(
        on=Unavailable, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5
    ):
        with attempt:
            return await work()
    raise AssertionError("stamina ended without a result or an error")


def dead_letter(record: Record, reason: str, *, value: bytes | None = None, index: int | None = None) -> Outgoing:
    """Return the dead letter of a record: its own bytes, or those of one item in it, and in the headers where and why."""
    headers = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp_ms),
        "reason": reason[:2_000],
    }
    if index is not None:
        headers["index"] = str(index)
    return Outgoing(
        DEAD_LETTERS.name,
        record.key,
        (record.value or b"") if value is None else value,
        tuple((name, text.encode("utf-8", "replace")) for name, text in headers.items()),
    )


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
                await self.set_aside([dead_letter(records[0], f"{self._agent}: {error!r}")])
            return

    async def set_aside(self, letters: Sequence[Outgoing]) -> None:
        """Send dead letters, trying for `DEAD_LETTER_SECONDS`.

        Raises:
            KafkaUnavailable: it could not be done; the process must end.
        """
        if not letters:
            return
        async for attempt in stamina.retry_context(
            on=KafkaUnavailable, attempts=None, timeout=DEAD_LETTER_SECONDS, wait_max=5.0
        ):
            with attempt:
                await self._publisher.publish(letters)


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
