"""Work on strangers' texts, kept off the event loop: whatever a text is, others are answered meanwhile.

Every function that reads one takes time in proportion to its length (`tests/test_linear_time.py`), at worst about a
microsecond for a byte. So its length alone says whether the work may take more than 20 ms.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

THREAD_BYTES = 16 * 1024
"""Work on more bytes than this runs in a thread."""

T = TypeVar("T")


async def away(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes: in a thread, unless it takes no time to speak of."""
    return await asyncio.to_thread(work) if size > THREAD_BYTES else work()
