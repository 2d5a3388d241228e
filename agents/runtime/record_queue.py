"""The queue of an agent between Faust's consumer and its stream."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from faust.types import TP, EventT
from mode.utils.queues import ThrowableQueue

from agents.runtime.progress import Progress
from agents.runtime.taking_turns import TakingTurns
from soulcaster.wire.feedback import PROJECT_HEADER

ENOUGH_BYTES, ROOM_BYTES = 48 * 1024 * 1024, 16 * 1024 * 1024
"""A queue holds enough with so many bytes, and has room again once it has no more than the second number."""

RECORD_BYTES = 1_024
"""What the objects of a record take besides its key and value."""


class _Queued(NamedTuple):
    """An event in a queue, with its record's project, partition and bytes; `key` is what turns are taken by."""

    event: Any
    key: bytes | None
    tp: TP | None
    size: int


def _queued(item: Any) -> _Queued:
    if not isinstance(item, EventT):
        return _Queued(item, None, None, 0)
    message = item.message
    size = RECORD_BYTES + len(message.key or b"") + len(message.value or b"")
    return _Queued(item, _project(message), message.tp, size)


def _project(message: Any) -> bytes | None:
    """Return the project of a record: its key, except on feedback.raw, where a header may name it."""
    for name, value in message.headers or ():
        if name == PROJECT_HEADER and value is not None:
            return bytes(value)
    key: bytes | None = message.key
    return key


class RecordQueue(ThrowableQueue):  # type: ignore[misc]  # mode ships no types that hold under --strict
    """A queue of Faust's, in which projects take turns, and which counts bytes: records may have four megabytes each.

    A queue that holds enough stops the reading of those partitions that have most of it, and what was fetched of them
    by then is put into it all the same. If it were full, Faust would wait until it has room, and meanwhile no record of
    any other topic would reach its agent: one slow agent would stop them all. The agents of one topic share its
    partitions, so the quicker one waits once the other one's queue holds enough: that is why it holds much.

    Faust's stream takes for the main lane of the agent. While that is at work, what has little waiting goes by the
    express lanes (`TakingTurns`), which Faust knows nothing of.
    """

    _bytes = 0
    _queue: TakingTurns[_Queued]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what Faust gives its own queue."""
        super().__init__(*args, **kwargs)
        self.progress = Progress()
        """Which records were put into the queue, and which of them its agent is done with."""
        self._of_partition: Counter[TP] = Counter()
        self._stopped: dict[TP, Callable[[], None]] = {}
        self._main_works = False
        self._changed = asyncio.Event()

    def put_nowait_enhanced(
        self, value: Any, *, on_pressure_high: Callable[[], None], on_pressure_drop: Callable[[], None]
    ) -> bool:
        """Put an event; return whether reading of its partition stops by `on_pressure_high` until the queue has room.

        It is stopped as often as it holds too much, because the queue of another agent may have let it go on.
        """
        self.force_put_nowait(value)
        tp = value.message.tp
        if self._bytes < ENOUGH_BYTES or self._of_partition[tp] * len(self._of_partition) < self._bytes:
            return False
        self._stopped[tp] = on_pressure_drop
        on_pressure_high()
        return True

    def maybe_endorse_pressure_drop(self) -> None:
        """Let reading go on if there is room; called whenever events are taken."""
        if self._stopped and self._bytes <= ROOM_BYTES:
            stopped, self._stopped = self._stopped, {}
            for go_on in stopped.values():
                go_on()

    def clear(self) -> None:
        """Empty the queue."""
        super().clear()
        self._bytes = 0
        self._of_partition.clear()
        self.progress.clear()

    def done(self, message: Any) -> None:
        """Note that the agent is done with a record."""
        self.progress.done(message.tp, message.offset)

    # ---- lanes ---------------------------------------------------------------------------------------------------

    @property
    def has_main(self) -> bool:
        """Return whether there is something for the batch that the main lane takes."""
        return self._queue.has_main

    def main_begins(self) -> None:
        """Note that the main lane works on what it took."""
        self._main_works = True
        self._changed.set()

    def main_done(self) -> None:
        """Note that the main lane is done with it."""
        self._main_works = False
        self._queue.main_done()

    def open_express(self) -> None:
        """Let there be express lanes; without them, the main lane takes everything."""
        self._queue.open_express()

    async def wait_for_express(self) -> None:
        """Return when there is something for an express lane: the main lane is at work, and others wait."""
        while not self._may_go_express:
            self._changed.clear()
            await self._changed.wait()

    def take_express(self) -> Sequence[Any]:
        """Return the events of one project for an express lane; none if there is nothing for it."""
        if not self._may_go_express:
            return ()
        queued = self._queue.take_express()
        for one in queued:
            self._taken(one)
        self.maybe_endorse_pressure_drop()
        return [one.event for one in queued]

    def express_done(self, events: Sequence[Any]) -> None:
        """Note that an express lane is done with what it took."""
        self._queue.express_done(_project(events[0].message))
        if self._queue:
            self._wakeup_next(self._getters)

    @property
    def _may_go_express(self) -> bool:
        return self._main_works and self._queue.has_express

    # ---- what asyncio.Queue calls --------------------------------------------------------------------------------

    def _init(self, maxsize: int) -> None:
        self._queue = TakingTurns()

    def _put(self, item: Any) -> None:
        queued = _queued(item)
        self._queue.append(queued)
        if queued.tp is not None:
            self._bytes += queued.size
            self._of_partition[queued.tp] += queued.size
            self.progress.delivered(queued.tp, item.message.offset, item.message.timestamp)
        self._changed.set()

    def _get(self) -> Any:
        queued = self._queue.popleft()
        self._taken(queued)
        return queued.event

    def _taken(self, queued: _Queued) -> None:
        if queued.tp is not None:
            self._bytes -= queued.size
            self._of_partition[queued.tp] -= queued.size
            if not self._of_partition[queued.tp]:
                del self._of_partition[queued.tp]
