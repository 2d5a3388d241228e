"""The CPU time that the work on one item takes; an item that takes too much of it is refused.

Nothing interrupts the work: Python cannot, within a call of C. What bounds it is that every function of a text takes
linear time (`tests/test_linear_time.py`) and that items have a largest size. The limit is for what slips through: such
an item is refused, so that no later step pays for it again.
"""

import time
from collections.abc import Callable

ITEM_SECONDS = 5.0
"""CPU time that cleaning or masking one item may take; the largest one takes a twentieth of it."""

_LOOK_SECONDS = 1.0

Clock = Callable[[], float]
"""Returns a time in seconds."""


class TooSlow(ValueError):
    """An item that takes more than `ITEM_SECONDS`."""


class ItemWatch:
    """Watches the items that one thread works on, one after the other; the thread makes it.

    Asking for CPU time takes as long as cleaning a short text. So the clock on the wall is asked first: a thread has no
    more CPU time than passes there. CPU time is read once a second, and what items since then may have taken is not
    counted: an item is refused that takes between `ITEM_SECONDS` and a second more.
    """

    def __init__(self, cpu: Clock = time.thread_time, wall: Clock = time.monotonic) -> None:
        """`cpu` is the clock of the thread's CPU time."""
        self._cpu, self._wall = cpu, wall
        self._begun = self._looked_at = wall()
        self._before = cpu()

    def begin(self) -> None:
        """Begin with an item."""
        self._begun = self._wall()
        if self._begun - self._looked_at >= _LOOK_SECONDS:
            self._looked_at, self._before = self._begun, self._cpu()

    def check(self) -> None:
        """Return if the item has not taken too long.

        Raises:
            TooSlow: it has.
        """
        if self._wall() - self._begun <= ITEM_SECONDS:
            return
        seconds = self._cpu() - self._before - (self._begun - self._looked_at)
        if seconds > ITEM_SECONDS:
            raise TooSlow(f"the item takes {seconds:.0f} s of CPU time; an item may take {ITEM_SECONDS:.0f} s")
