"""How a process without a framework of its own stops: a signal cancels its work."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress


def run_until_stopped(work: Awaitable[None]) -> None:
    """Run `work` until it ends, or until SIGTERM or SIGINT, which cancels it; blocks."""
    asyncio.run(_until_stopped(work))


async def _until_stopped(work: Awaitable[None]) -> None:
    with suppress(asyncio.CancelledError), cancelled_by(signal.SIGTERM, signal.SIGINT):
        await work


@contextmanager
def cancelled_by(*signals: signal.Signals) -> Iterator[None]:
    """Have each of these signals cancel this task while the block runs."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
