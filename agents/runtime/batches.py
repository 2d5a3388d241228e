"""From a Faust stream to batches: what is at hand is taken at once, so that the work of a hop is shared by many.

With `delivery.py` this is the only place that touches Faust's privates. Faust's own `take()` waits for time to pass,
cannot write tables, and acknowledges a batch whose processing raised; its plain iteration costs a task switch an event.
Here the first event is awaited and what the queue holds besides is taken with it. Events are acknowledged only when the
consumer comes back for the next batch: one that raises, or is stopped in the middle, has acknowledged nothing.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from soulcaster.ports.messaging import Record

MAX_RECORDS = 1_000
MAX_BYTES = 4 * 1024 * 1024
"""A batch ends when it holds this much; one larger message makes a batch alone."""

GATHER_SECONDS = 0.04


def _nowhere(partition: int) -> None:
    raise LookupError(f"no record of partition {partition} is in this batch")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order they came, one or more."""

    records: tuple[Record, ...]
    _enter: Callable[[int], None] = _nowhere

    def by_partition(self) -> Mapping[int, list[Record]]:
        """Return the records of each partition, in their order."""
        parts: dict[int, list[Record]] = defaultdict(list)
        for record in self.records:
            parts[record.partition].append(record)
        return parts

    @contextmanager
    def writing(self, partition: int) -> Iterator[None]:
        """Let tables be written: Faust takes a row's partition from the event it believes to be current."""
        self._enter(partition)
        yield


class InHand:
    """The messages that agents of one app are working on now: what a stop or a rebalance has to wait for.

    Faust waits for every message that any agent has begun and not all have ended. Where two agents read one topic, the
    one that is behind may have had its queue cleared by then: it would wait for ever. So a message counts only from
    when an agent takes it until that agent is done; one that others have still to take is read again by whoever has its
    partition next, for it was not acknowledged by all.
    """

    def __init__(self, app: Any) -> None:
        """Watch over the messages of a Faust app."""
        self._app = app
        self._holders: dict[Any, int] = defaultdict(int)

    def take(self, message: Any) -> None:
        """Count a message an agent begins to work on."""
        if not message.tracked:
            message.tracked = True
            self._app.consumer.track_message(message)
        self._holders[message] += 1

    async def done(self, stream: Any, event: Any) -> None:
        """Acknowledge an event for its agent; its message is out of hand once no other agent works on it."""
        message = event.message
        await stream.ack(event)
        self._holders[message] -= 1
        if not self._holders[message]:
            del self._holders[message]
            if not message.acked:
                message.tracked = False
                self._app.consumer.unacked.discard(message)


async def batches(stream: Any, in_hand: InHand) -> AsyncIterator[Batch]:
    """Yield what a Faust stream holds, batch by batch, and acknowledge each once the next is asked for.

    The stream's topics must be raw: key and value bytes. All streams of an app share one `in_hand`.
    """
    app = stream.app
    queue = stream.channel.queue
    stream.enable_acks = False  # read by the stream before each event: acknowledging is ours, below
    behind = False
    async for _ in stream:
        if behind:
            await _gather(queue)
        events = [stream.current_event]
        in_hand.take(events[0].message)
        size = len(events[0].message.value or b"")
        while len(events) < MAX_RECORDS and size < MAX_BYTES and not queue.empty():
            event = queue.get_nowait()
            message = event.message
            if not app.flow_control.is_active() or message.generation_id != app.consumer_generation_id:
                continue  # of before a rebalance: whoever has the partition now reads it again
            in_hand.take(message)
            events.append(event)
            size += len(message.value or b"")
        current = {event.message.partition: event for event in events}
        yield Batch(
            tuple(_record(event.message) for event in events),
            lambda partition, current=current: stream._set_current_event(current[partition]),  # type: ignore[misc]
        )
        for event in events:
            await in_hand.done(stream, event)
        behind = len(events) > 1


async def _gather(queue: Any) -> None:
    """Wait while the queue fills, `GATHER_SECONDS` at most.

    Faust hands events over one by one, so a consumer that takes what is there the moment it can makes small batches
    just when there is most to do. Only a consumer that is behind waits; when events come one at a time none is held up.
    """
    end = time.monotonic() + GATHER_SECONDS
    size = -1
    while size < queue.qsize() < MAX_RECORDS and time.monotonic() < end:
        size = queue.qsize()
        await asyncio.sleep(GATHER_SECONDS / 8)


def _record(message: Any) -> Record:
    return Record(
        message.topic, message.partition, message.offset, int(message.timestamp * 1000), message.key, message.value
    )
