"""The clock by which a process notices that it, or its whole machine, did not run for a while."""

import time


def elapsed() -> float:
    """Return the seconds since the machine was started.

    Nobody sets this clock, and it goes on while a process is stopped or the machine sleeps. `time.monotonic` stands
    still while the machine sleeps.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
