"""What a consumer does when something fails: wait for what is away, set aside what cannot be done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import stamina

from soulcaster.errors import KafkaUnavailable, Unavailable
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.wire.topics import DEAD_LETTERS

T = TypeVar("T")

DEAD_LETTER_SECONDS = 60.0
"""How long a dead letter is tried; after that the process ends rather than lose it."""


async def until_available(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, trying again as long as the system it needs is away."""
    async for attempt in stamina.retry_context(
        on=Unavailable, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5
    ):
        with attempt:
            return await work()
    raise AssertionError("stamina ended without a result or an error")


def dead_letter(record: Record, reason: str, *, value: bytes | None = None, index: int | None = None) -> Outgoing:
    """Return a record's dead letter: its own bytes, or those of one item in it; in the headers where and why."""
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


async def set_aside(publisher: Publisher, letters: Sequence[Outgoing]) -> None:
    """Send dead letters, trying for `DEAD_LETTER_SECONDS`.

    Raises:
        KafkaUnavailable: it could not be done; the process must end, with nothing acknowledged.
    """
    if not letters:
        return
    async for attempt in stamina.retry_context(
        on=KafkaUnavailable, attempts=None, timeout=DEAD_LETTER_SECONDS, wait_max=5.0
    ):
        with attempt:
            await publisher.publish(letters)
