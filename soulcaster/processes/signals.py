"""How a process stops: a signal cancels its work, and the process ends soon, whatever does not answer.

What a process has acknowledged is safe at any moment, so one that cannot end in order ends all the same. A system that
is away would hold it up for minutes: to commit, to leave a group, to send what is buffered.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

STOP_SECONDS = 15.0
"""How long a process may take to end in order; most supervisors kill it after 30 seconds."""

log = structlog.get_logger(__name__)


def end_soon() -> None:
    """End the process in `STOP_SECONDS`, unless it has ended by then."""
    timer = threading.Timer(STOP_SECONDS, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    log.warning("the end took too long, as when a system is away; what was not acknowledged comes again")
    os._exit(os.EX_OK)


def run_until_stopped(work: Awaitable[None]) -> None:
    """Run `work` until it ends, or until SIGTERM or SIGINT, which cancels it; blocks."""
    asyncio.run(_until_stopped(work))


async def _until_stopped(work: Awaitable[None]) -> None:
    with suppress(asyncio.CancelledError), cancelled_by(signal.SIGTERM, signal.SIGINT, first=end_soon):
        await work


@contextmanager
def cancelled_by(*signals: signal.Signals, first: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have each of these signals call `first` and cancel this task while the block runs."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def stop() -> None:
        first()
        (task.cancel if task else loop.stop)()

    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
