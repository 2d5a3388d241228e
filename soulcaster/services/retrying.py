"""Retrying in place while a system is unavailable."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from soulcaster.errors import Unavailable
from soulcaster.telemetry.waits import WAITS

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.2
MAX_WAIT_SECONDS = 5.0
JITTER_SECONDS = 0.5


async def until_available(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, retrying without limit while it raises `Unavailable`.

    Waits grow from `FIRST_WAIT_SECONDS` to `MAX_WAIT_SECONDS`; every other error of `work` passes through.
    """
    failed: Unavailable | None
    try:
        return await work()  # nearly always enough; stamina takes 20 us, and sees only failures
    except Unavailable as error:
        failed = error
    with WAITS.one() as wait:
        async for attempt in stamina.retry_context(
            on=Unavailable,
            attempts=None,
            timeout=None,
            wait_initial=FIRST_WAIT_SECONDS,
            wait_max=MAX_WAIT_SECONDS,
            wait_jitter=JITTER_SECONDS,
        ):
            with attempt, wait.failed():
                if failed is not None:
                    first, failed = failed, None
                    raise first
                return await work()
    raise AssertionError("stamina ended without a result or an error")
