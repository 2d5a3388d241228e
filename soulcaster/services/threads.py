"""Work on strangers' texts, kept off the event loop: whatever a text is, others are answered meanwhile.

Every function that reads one takes time in proportion to its length (`tests/test_linear_time.py`), at worst about a
microsecond for a byte. So its length alone says whether the work may take more than 20 ms.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

THREAD_BYTES = 16 * 1024
"""Work on more bytes than this runs in a thread."""

BULK_BYTES = 64 * 1024
"""Work on more bytes than this is bulk."""

REST = 2.0
"""How long a project that crowds out another one rests after a thread, and after a request, in times that it took."""

CROWDS_OUT: ContextVar[Callable[[], bool]] = ContextVar("crowds_out", default=lambda: False)
"""Whether the project for which a task works has more to do, while another project is being answered."""

BULK_TURN: ContextVar[asyncio.Lock | None] = ContextVar("bulk_turn", default=None)
"""Bulk of the tasks that share a lock is done in one thread at a time. Python runs one thread at a time anyway: more of
them would finish no sooner, and whatever else is to be done would wait for each."""

T = TypeVar("T")


async def away(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes: in a thread, unless it takes no time to speak of.

    The thread takes turns with the event loop and other threads. A project that crowds out another one rests after it.
    """
    if size <= THREAD_BYTES:
        return work()
    begun = time.perf_counter()
    done = await in_thread(size, work)
    if CROWDS_OUT.get()():
        await asyncio.sleep(REST * (time.perf_counter() - begun))
    return done


async def in_thread(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes in a thread; bulk waits for its turn."""
    turn = BULK_TURN.get() if size > BULK_BYTES else None
    if turn is None:
        return await asyncio.to_thread(work)
    async with turn:
        return await asyncio.to_thread(work)
