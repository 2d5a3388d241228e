"""From a Faust stream to batches: all records that are queued are taken at once, so that they share the cost of a hop.

Faust's own `take()` waits for a fixed time, cannot write tables, and acknowledges a batch whose processing raised; its
plain iteration costs a task switch for each event. Here the first event is awaited, and all others in the queue are
taken with it. Events are acknowledged only when the consumer asks for the next batch: a consumer that raises, is
stopped, or gives the batch up acknowledges nothing.

Only this file, `delivery.py` and `record_queue.py` touch Faust's privates.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from soulcaster.ports.messaging import Record
from soulcaster.telemetry.spans import TRACE_HEADER, TRACER

log = structlog.get_logger(__name__)

MAX_RECORDS = 1_000
BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of a batch, for an agent whose work is quick."""

EXPRESS_LANES = 4
"""How many projects that have little waiting an agent works on beside a large batch, at most: a command that changes a
whole project takes long, and the others do not wait for it."""

GATHER_SECONDS = 0.04
"""How long a consumer that is behind waits for the queue to fill."""

END_SECONDS = 3.0
"""How long a stop or a rebalance waits for a batch. Only one that waits for another system takes longer."""


def _nowhere(partition: int) -> None:
    raise LookupError(f"no record of partition {partition} is in this batch")


async def _to_its_end(work: Coroutine[Any, Any, int]) -> int | None:
    return await work


@dataclass(frozen=True, slots=True)
class Batch:
    """One or more records; those of one key and partition are in the order of their offsets."""

    records: tuple[Record, ...]
    _enter: Callable[[int], None] = _nowhere
    _do: Callable[[Coroutine[Any, Any, int]], Awaitable[int | None]] = _to_its_end

    def by_partition(self) -> Mapping[int, list[Record]]:
        """Return the records of each partition, in order."""
        parts: dict[int, list[Record]] = defaultdict(list)
        for record in self.records:
            parts[record.partition].append(record)
        return parts

    @contextmanager
    def writing(self, partition: int) -> Iterator[None]:
        """Allow writes to tables: Faust gives a row the partition of the event that it takes for the current one.

        Raises:
            LookupError: no record of the batch is in this partition.
        """
        self._enter(partition)
        yield

    async def do(self, work: Coroutine[Any, Any, int]) -> int | None:
        """Return what `work` returns, or None if it was given up: the batch is not acknowledged then."""
        return await self._do(work)


class InProgress:
    """The messages that agents of one app are processing now: a stop or a rebalance waits for these, but not for long.

    Faust itself waits for every message that one agent has begun and not all have finished. When two agents read a
    topic and the queue of the slower one has been cleared, it would wait forever. Here a message counts only from the
    time an agent takes it until that agent is done. A message that another agent has not taken yet is not acknowledged
    by all, so the partition's next owner reads it again.
    """

    def __init__(self, app: Any) -> None:
        """`app` is the Faust app."""
        self._app = app
        self._holders: dict[Any, int] = defaultdict(int)
        self._work: set[asyncio.Task[int]] = set()
        self._given_up: set[asyncio.Task[int]] = set()

    def take(self, message: Any) -> None:
        """Count a message that an agent begins to process."""
        if not message.tracked:
            message.tracked = True
            self._app.consumer.track_message(message)
        self._holders[message] += 1

    async def done(self, stream: Any, event: Any) -> None:
        """Acknowledge an event for its agent; its message stops counting when no other agent processes it."""
        await stream.ack(event)
        self.drop(event)

    def drop(self, event: Any) -> None:
        """Count an event no more for its agent, acknowledged or not."""
        message = event.message
        self._holders[message] -= 1
        if not self._holders[message]:
            del self._holders[message]
            if not message.acked:
                message.tracked = False
                self._app.consumer.unacked.discard(message)

    async def do(self, work: Coroutine[Any, Any, int]) -> int | None:
        """Return what an agent's work on a batch returns, or None if `end` gave it up."""
        task = asyncio.create_task(work)
        self._work.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if task not in self._given_up:
                raise  # the agent was cancelled, and its work with it
            return None
        finally:
            self._work.discard(task)
            self._given_up.discard(task)

    async def end(self) -> None:
        """Return when no agent works on a batch any more; work that takes too long is given up, as in a crash."""
        if not self._work:
            return
        _, late = await asyncio.wait(self._work, timeout=END_SECONDS)
        if late:
            log.warning("batches are given up, and done again from their beginning", batches=len(late))
            self._given_up |= late
            for task in late:
                task.cancel()
            await asyncio.wait(late)


async def batches(
    stream: Any,
    in_progress: InProgress,
    before_write: Callable[[], None] = lambda: None,
    *,
    most_bytes: int = BATCH_BYTES,
) -> AsyncIterator[Batch]:
    """Yield batch after batch of a Faust stream; asking for the next one acknowledges the one before.

    The stream's topics must be raw: keys and values are bytes. All streams of an app share one `in_progress`.
    `before_write` is called whenever tables are about to be written. A batch ends when it holds `most_bytes`; a larger
    message is a batch of one.
    """
    queue = stream.channel.queue
    stream.enable_acks = False  # the stream reads it before each event; events are acknowledged below
    behind = False
    async for _ in stream:
        first = stream.current_event  # an express lane sets another one to write tables
        if behind:
            await _gather(queue)
        batch = _Begun(stream, in_progress, before_write)
        batch.take(first)
        while len(batch.events) < MAX_RECORDS and batch.size < most_bytes and queue.has_main:
            batch.take_current(queue.get_nowait())
        queue.main_begins()
        try:
            yield batch.batch()
            await batch.done()
        finally:
            queue.main_done()
        behind = len(batch.events) > 1


async def express_batches(
    stream: Any, in_progress: InProgress, before_write: Callable[[], None] = lambda: None
) -> AsyncIterator[Batch]:
    """Yield batches that are worked on beside those of `batches`, each of one project that has little waiting.

    So it does not wait until the agent is done with what another project sent in bulk. The stream itself is read by
    `batches`. Several of these may run at a time.
    """
    queue = stream.channel.queue
    queue.open_express()
    while True:
        await queue.wait_for_express()
        await stream.app.flow_control.acquire()
        events = queue.take_express()
        if not events:
            continue
        batch = _Begun(stream, in_progress, before_write)
        for event in events:
            batch.take_current(event)
        try:
            if batch.events:
                yield batch.batch()
                await batch.done()
        finally:
            queue.express_done(events)


class _Begun:
    """The events of a batch that an agent begins to work on."""

    def __init__(self, stream: Any, in_progress: InProgress, before_write: Callable[[], None]) -> None:
        self.events: list[Any] = []
        self.size = 0
        self._stream = stream
        self._in_progress = in_progress
        self._before_write = before_write
        self._given_up = False

    def take(self, event: Any) -> None:
        """Add an event, and count its message as begun."""
        self._in_progress.take(event.message)
        self.events.append(event)
        self.size += len(event.message.value or b"")

    def take_current(self, event: Any) -> None:
        """Add an event unless it is from before a rebalance: the partition's new owner reads it again."""
        app = self._stream.app
        if app.flow_control.is_active() and event.message.generation_id == app.consumer_generation_id:
            self.take(event)
        else:
            self._stream.channel.queue.done(event.message)

    def batch(self) -> Batch:
        """Return it as the agent sees it."""
        current = {event.message.partition: event for event in self.events}

        def enter(partition: int) -> None:
            self._before_write()
            self._stream._set_current_event(current[partition])

        async def do(work: Coroutine[Any, Any, int]) -> int | None:
            results = await self._in_progress.do(work)
            self._given_up = results is None
            return results

        return Batch(tuple(_record(event.message) for event in self.events), enter, do)

    async def done(self) -> None:
        """Acknowledge the events, unless the work on them was given up."""
        for event in self.events:
            if self._given_up:
                self._in_progress.drop(event)
            else:
                await self._in_progress.done(self._stream, event)
                self._stream.channel.queue.done(event.message)


async def _gather(queue: Any) -> None:
    """Wait while the queue fills, at most `GATHER_SECONDS`.

    Faust hands over events one by one, so a consumer that takes them at once makes small batches just when there is
    most to do. Only a consumer that is behind waits; events that come one at a time are not delayed.
    """
    end = time.monotonic() + GATHER_SECONDS
    size = -1
    while size < queue.qsize() < MAX_RECORDS and time.monotonic() < end:
        size = queue.qsize()
        await asyncio.sleep(GATHER_SECONDS / 8)


def _record(message: Any) -> Record:
    trace = dict(message.headers or ()).get(TRACE_HEADER) if TRACER.on else None
    return Record(
        message.topic,
        message.partition,
        message.offset,
        int(message.timestamp * 1000),
        message.key,
        message.value,
        trace,
    )
