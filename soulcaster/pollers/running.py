"""A poller as a program: it goes on until it is told to stop."""

import asyncio
import signal
from collections.abc import Awaitable
from contextlib import suppress


def run_until_told(work: Awaitable[None]) -> None:
    """Do this until it ends, or until told to stop (SIGTERM, SIGINT), which cancels it; blocks."""
    asyncio.run(_until_told(work))


async def _until_told(work: Awaitable[None]) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    with suppress(asyncio.CancelledError):
        await work
