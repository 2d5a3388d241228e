"""Ending tasks for certain."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.2
"""How long a cancelled task may take to end until it is cancelled again."""


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until all of them have ended; what they raised is raised where they are awaited.

    One cancellation is not enough: `asyncio.wait_for` of Python 3.11, which SDKs of vendors use, drops it when what it
    waits for has just ended (github.com/python/cpython/issues/86296), and the task would go on for ever.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=AGAIN_SECONDS)
