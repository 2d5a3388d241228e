"""How many values fit a page: their sizes are asked for before they are read, so that long texts fill no memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from soulcaster.adapters.redis.typed import Commands
from soulcaster.ports.paging import PAGE_BYTES


async def fitting(redis: Commands, keys: Sequence[str]) -> int:
    """Return how many of the first strings have `PAGE_BYTES` together; at least one."""
    pipe = redis.pipeline()
    sizes = [pipe.strlen(key) for key in keys]
    await pipe.execute()
    return Room().take(size.value for size in sizes)


@dataclass(slots=True)
class Room:
    """The room of one page, which values take in parts."""

    _taken: int = 0
    _count: int = 0

    def take(self, sizes: Iterable[int]) -> int:
        """Take what fits of the next values, and return how many; the first value of all fits in any case."""
        before = self._count
        for size in sizes:
            self._taken += size
            if self._count and self._taken > PAGE_BYTES:
                break
            self._count += 1
        return self._count - before
