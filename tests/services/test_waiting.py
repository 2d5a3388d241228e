"""The one poll loop."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from soulcaster.services.waiting import until


def counting() -> Callable[[], Awaitable[int]]:
    """Return a read that returns 1, then 2, and so on."""
    reads = iter(range(1, 1000))

    async def read() -> int:
        return next(reads)

    return read


async def test_it_returns_as_soon_as_it_is_done() -> None:
    async with asyncio.timeout(20):
        assert await until(counting(), lambda n: n == 3, seconds=3600, poll_seconds=0.001) == 3


async def test_it_returns_what_it_read_last_when_the_time_is_up() -> None:
    assert await until(counting(), lambda _: False, seconds=0.05, poll_seconds=0.01) > 1


async def test_without_time_it_reads_once() -> None:
    assert await until(counting(), lambda _: False, seconds=0) == 1


async def test_what_reading_raises_passes_through() -> None:
    async def read() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await until(read, lambda _: False, seconds=1)
