"""How long the steps of an event loop take, in CPU time of their thread: whoever waits meanwhile waits for them.

A thread beside the loop holds it up too, while it is inside a function written in C that keeps Python's lock: JSON is
read by one. So the longest such call of each thread is measured as well.

CPU time does not grow while other programs have the cores. What does make it grow, a slow core or a busy cache, makes a
known piece of work take longer too, and the limit with it.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from unittest.mock import patch

MOST_SECONDS = 0.02
"""What one step may take, on a machine that does `_known_work` in `_KNOWN_SECONDS`."""

ROOM = 2.0
"""What a step may take beside other tests, which empty the caches of its core: in times `MOST_SECONDS`."""

_KNOWN_SECONDS = 0.005
_KNOWN_ROUNDS = 130_000
_TRIES = 4
_FINE_SECONDS = 0.001


@dataclass(slots=True)
class LoopSteps:
    """The longest step that a loop has made since `begin`, or call in C of a thread beside it.

    Steps of the task `own`, the test's, do not count.
    """

    own: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)
    longest: float = 0.0
    at: str = ""

    def begin(self) -> None:
        """Forget what was measured."""
        self.longest, self.at = 0.0, ""

    def take(self, seconds: float, at: object) -> None:
        """Count one step."""
        if seconds > self.longest:
            self.longest, self.at = seconds, repr(at)


@contextmanager
def measured_steps() -> Iterator[LoopSteps]:
    """Measure every step of the loop, and the threads that it starts from now on, during the block.

    The collector of garbage is off: it looks through what the whole test run has made.
    """
    steps = LoopSteps()
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        spent = time.thread_time() - begun
        task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
        if steps.own is None or task is not steps.own:
            steps.take(spent, task or handle)

    gc.collect()
    gc.disable()
    threads = ThreadPoolExecutor(4, initializer=_watch, initargs=(steps,))
    asyncio.get_running_loop().set_default_executor(threads)
    try:
        with patch.object(asyncio.Handle, "_run", measured):
            yield steps
    finally:
        gc.enable()


def _watch(steps: LoopSteps) -> None:
    """Measure how long this thread is in C between two calls in Python: what ends with the return of C was in C.

    The system is asked for CPU time only a millisecond after it was last asked, for asking takes longer than most calls
    do; so a call may count for a millisecond more than it took.
    """
    looked, begun = time.perf_counter(), time.thread_time()

    def profile(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal looked, begun
        if time.perf_counter() - looked < _FINE_SECONDS:
            return
        spent = time.thread_time()
        if event == "c_return":
            steps.take(spent - begun, called)
        looked, begun = time.perf_counter(), spent

    sys.setprofile(profile)


async def too_long(steps: LoopSteps, work: Callable[[], Awaitable[object]]) -> str | None:
    """Do work, and return its longest step if that is too long each time it is tried; else None."""
    shortest = float("inf")
    for _ in range(_TRIES):
        steps.begin()
        await work()
        if steps.longest <= ROOM * MOST_SECONDS or steps.longest <= _limit():
            return None
        shortest = min(shortest, steps.longest)
    return f"{1e3 * shortest:.0f} ms: {steps.at}"


def _limit() -> float:
    """Return what a step may take on this machine, as it is now."""
    begun = time.thread_time()
    _known_work()
    return ROOM * MOST_SECONDS * max(1.0, (time.thread_time() - begun) / _KNOWN_SECONDS)


def _known_work() -> int:
    total = 0
    for number in range(_KNOWN_ROUNDS):
        total += number * number % 7
    return total
