"""This process and all below it: nothing that a program starts gets away, and it does not get at us."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator

# linux/prctl.h
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends; Linux only, elsewhere nothing happens."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_tracing() -> None:
    """Forbid other processes of the same user to read or change this one's memory; Linux only."""
    _prctl(_PR_SET_DUMPABLE, 0)


def kill_descendants() -> None:
    """Kill every process below us, and return when there is none."""
    import psutil  # the guard needs it at the end only, and it is slow to import

    me = psutil.Process()
    while below := me.children(recursive=True):
        for process in below:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue  # it ended by itself
        for _ in reap():
            pass
        time.sleep(0.005)


def reap() -> Iterator[tuple[int, int]]:
    """Yield process id and wait status of each child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")
