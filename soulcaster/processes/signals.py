"""How a process without a framework of its own stops: SIGTERM or SIGINT cancels its work."""

import asyncio
import signal
from collections.abc import Awaitable
from contextlib import suppress


def run_until_stopped(work: Awaitable[None]) -> None:
    """Run `work` until it ends, or until SIGTERM or SIGINT, which cancels it; blocks."""
    asyncio.run(_until_stopped(work))


async def _until_stopped(work: Awaitable[None]) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    with suppress(asyncio.CancelledError):
        await work
