"""All processes below this one: orphans are adopted, so that nothing that a program starts gets away."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends; Linux only, elsewhere nothing happens."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


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
