"""Whether work grows faster than the text it is for, measured in CPU time.

Linear work takes the same time for each character, whatever the length. A factor of 2.5 from 8 to 64 thousand
characters leaves room for caches and a busy machine; work that grows with the square takes eight times as much.
"""

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tests.support.pumps import Pump

LENGTHS = (8_000, 16_000, 32_000, 64_000)
LONG = (64_000, 512_000)
"""For work that copies what it has at each step: machines copy so fast that shorter texts do not show it."""

_FIRST_LENGTHS = (400, 4_000)
_FAST = 0.6e-6
"""Seconds a character takes at most where it is not worth measuring more lengths."""

_MOST_GROWTH = 2.5
_TRIES = 4
_SURE = 0.2
_MOST_SECONDS = 0.02
"""What one call may take on the event loop."""


def growth(work: Callable[[str], object], pump: Pump) -> str | None:
    """Return how the time of work grows with the length of a hostile text; None if it does not."""
    for length in _FIRST_LENGTHS:  # short ones first: what grows with the cube takes an hour for a long one
        text = pump.text(length)
        if _seconds(work, text) > len(text) * _FAST + 0.001:
            break
    else:
        return None
    return _growth(work, pump, LENGTHS)


def long_growth(work: Callable[[str], object], pump: Pump) -> str | None:
    """Return the same for the `LONG` lengths."""
    text = pump.text(LONG[-1])
    once = _seconds(work, text)
    return None if once <= len(text) * _FAST else _growth(work, pump, LONG, {LONG[-1]: once})


def _growth(
    work: Callable[[str], object], pump: Pump, lengths: Sequence[int], tried: Mapping[int, float] = MappingProxyType({})
) -> str | None:
    """Return how the time grows; a length that was quick enough when it was `tried`, in seconds, is passed over."""
    times: dict[int, float] = {}
    most = 0.0
    for length in lengths:
        text = pump.text(length)
        if tried.get(length, math.inf) <= most * len(text):
            continue
        times[length] = _shortest(work, text, enough=most * len(text)) / len(text)
        most = max(_MOST_GROWTH * times[lengths[0]], _FAST)
        if times[length] > most:
            told = ", ".join(f"{1e6 * one:.2f} µs at {of:,}" for of, one in times.items())
            return f"{pump}: a character takes {told}"
    return None


def too_long(work: Callable[[str], object], pump: Pump, most_chars: int) -> str | None:
    """Return how long work takes for the longest text that it is ever given; None if that is short enough."""
    text = pump.text(most_chars)
    seconds = _seconds(work, text)
    if seconds <= _MOST_SECONDS or (seconds := _shortest(work, text, enough=_MOST_SECONDS)) <= _MOST_SECONDS:
        return None
    return f"{pump}: {most_chars:,} characters take {1e3 * seconds:.0f} ms"


def _shortest(work: Callable[[str], object], text: str, *, enough: float) -> float:
    """Return the time of the quickest of some tries; one that is quick enough, or long, needs no other to be sure."""
    times = [_seconds(work, text)]
    while len(times) < _TRIES and enough < times[-1] < _SURE:
        times.append(_seconds(work, text))
    return min(times)


def _seconds(work: Callable[[str], object], text: str) -> float:
    gc.disable()  # a collection looks at all objects of all tests, and takes longer than the work
    try:
        started = time.process_time()
        work(text)
        return time.process_time() - started
    finally:
        gc.enable()
