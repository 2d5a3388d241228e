"""How many values fit a page: their sizes are asked for before they are read, so that long texts fill no memory."""

from collections.abc import Iterable, Sequence

from soulcaster.adapters.redis.typed import Commands
from soulcaster.ports.paging import PAGE_BYTES


async def fitting(redis: Commands, keys: Sequence[str]) -> int:
    """Return how many of the first strings have `PAGE_BYTES` together; at least one."""
    pipe = redis.pipeline()
    sizes = [pipe.strlen(key) for key in keys]
    await pipe.execute()
    return within(size.value for size in sizes)


def within(sizes: Iterable[int]) -> int:
    """Return how many of the first sizes are `PAGE_BYTES` together at most; at least one."""
    count = total = 0
    for size in sizes:
        total += size
        if count and total > PAGE_BYTES:
            break
        count += 1
    return count
