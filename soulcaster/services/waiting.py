"""Waiting until what was sent to Kafka can be read: the one poll loop of the program."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1
"""How long a waiting caller pauses between two reads."""


async def until(
    read: Callable[[], Awaitable[T]], done: Callable[[T], bool], *, seconds: float, poll_seconds: float = POLL_SECONDS
) -> T:
    """Return what `read` returns as soon as it is `done`, or what it returns when `seconds` have passed.

    It reads at least once, and passes on what `read` raises.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = await read()
        if done(found) or loop.time() >= deadline:
            return found
        await asyncio.sleep(min(poll_seconds, seconds))
