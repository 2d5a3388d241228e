"""A worker that was suspended for too long writes nothing more: its partitions may have a new owner.

A machine that is paused, or a container that is frozen, wakes up in the middle of its work and does not know it. Kafka
has given its partitions to another worker by then, and what both write would mix. So before each write the process
looks at the clock, and it also does so all the time: whichever comes first after a suspension ends the process.
"""

import asyncio
from collections.abc import Callable, Sequence

from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.elapsed import elapsed

LOOK_SECONDS = 0.5


class Suspension:
    """Notices that the process did not run for a while."""

    def __init__(self, limit: float, end: Callable[[str], object], *, clock: Callable[[], float] = elapsed) -> None:
        """After `limit` seconds without running, `end` is called; it ends the process, and gets the reason."""
        self._limit = limit
        self._end = end
        self._clock = clock
        self._ran: float | None = None

    def check(self) -> None:
        """Note that the process runs; end it if it has not run for too long. Before `run` nothing is checked."""
        if self._ran is None:
            return
        now = self._clock()
        suspended, self._ran = now - self._ran, now
        if suspended > self._limit:
            self._end(f"the process did not run for {suspended:.0f} s; its partitions may belong to another worker")

    async def run(self) -> None:
        """Check until cancelled."""
        self._ran = self._clock()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.check()


class AwakePublisher:
    """A Publisher of a process that has not been suspended."""

    def __init__(self, inner: Publisher, suspension: Suspension) -> None:
        self._inner = inner
        self._suspension = suspension

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish, unless the process was suspended; see `ports.messaging.Publisher`."""
        self._suspension.check()
        await self._inner.publish(messages)
