"""Large states are freed part by part."""

import sys
from collections.abc import Callable
from typing import Any

from tables.freeing import free


class Part:
    """A part of a state; it says when it is freed."""

    def __init__(self, say: Callable[[], None], inner: object = None) -> None:
        self._say = say
        self.inner = inner

    def __del__(self) -> None:
        self._say()


def test_parts_are_freed_one_after_the_other_and_what_others_hold_stays() -> None:
    """Each is freed by a step of `free` of its own, between which others may run; not all in the step of the whole."""
    freed: list[int] = []
    step = 0

    def say() -> None:
        freed.append(step)

    def count(_frame: Any, event: str, called: Any) -> None:
        nonlocal step
        if event == "c_call" and getattr(called, "__name__", "") == "pop":
            step += 1

    kept = Part(say)
    states: list[object] = [Part(say, {n: (Part(say, [n]), kept) for n in range(100)})]
    sys.setprofile(count)
    try:
        free(states)
    finally:
        sys.setprofile(None)
    assert states == []
    assert len(freed) == len(set(freed)) == 101
    assert kept.inner is None
