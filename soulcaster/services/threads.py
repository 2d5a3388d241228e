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

REST = 2.0
"""How long a project that crowds out another one rests after a thread, and after a request, in times that it took."""

CROWDS_OUT: ContextVar[Callable[[], bool]] = ContextVar("crowds_out", default=lambda: False)
"""Whether the project for which a task works has more to do, while another project is being answered."""

T = TypeVar("T")


async def away(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes: in a thread, unless it takes no time to speak of.

    The thread takes turns with the event loop and other threads; a project that crowds out another one rests after it.
    """
    if size <= THREAD_BYTES:
        return work()
    begun = time.perf_counter()
    done = await asyncio.to_thread(work)
    if CROWDS_OUT.get()():
        await asyncio.sleep(REST * (time.perf_counter() - begun))
    return done
