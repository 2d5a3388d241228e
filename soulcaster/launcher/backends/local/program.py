"""The program as its supervisor holds it: the guard that runs it, with bubblewrap around it or without."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import psutil

from soulcaster.errors import SoulcasterError
from soulcaster.launcher.backends.local.descendants import adopt_orphans, kill_descendants
from soulcaster.launcher.backends.local.folder import JobFolder
from soulcaster.launcher.backends.local.order import MB, Limits, Order

GUARD = "soulcaster.launcher.backends.local.guard"
HARD = 2
"""The kernel refuses what is this many times the limit to a single process; below that the supervisor ends the job."""


class NotStarted(SoulcasterError):
    """Bubblewrap could not start the program."""


class Program:
    """One program, from its start to the death of everything that it started.

    `output` is what it prints, `report` what its guard says of it: two pipes to read from.
    """

    def __init__(self, order: Order, folder: JobFolder) -> None:
        self._order = order
        self._folder = folder
        self._isolated = bool(order.isolation)
        self._control_end, self._control = os.pipe()
        self._first: psutil.Process | None = None
        self._first_fd: int | None = None
        self.output, self._output_end = os.pipe()
        self.report, self._report_end = os.pipe()

    def start(self) -> None:
        """Start it.

        Raises:
            NotStarted: bubblewrap failed; its reason is in the output.
            OSError: bubblewrap is no longer there, or there is no more memory.
        """
        try:
            adopt_orphans()
            if self._isolated:
                self._start_isolated()
            else:
                self._spawn(self._guard())
        finally:
            for end in (self._control_end, self._output_end, self._report_end):
                os.close(end)

    def processes(self) -> list[psutil.Process]:
        """Return its processes that live now."""
        if not self._isolated:
            return list(psutil.Process().children(recursive=True))
        if self._first is None:
            return []
        try:
            return [self._first, *self._first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill it and everything that it started; return when nothing of it is left. To be called once."""
        os.close(self._control)
        if self._first_fd is not None:
            _kill_and_wait(self._first_fd)
        kill_descendants()

    def _guard(self) -> list[str]:
        limits = json.dumps(_kernel_limits(self._order.limits, self._isolated))
        guard = [sys.executable, "-I", "-m", GUARD, str(self._control_end), str(self._report_end), limits]
        return [*guard, *self._order.command]

    def _start_isolated(self) -> None:
        info, info_end = os.pipe()
        try:
            self._spawn([*self._order.isolation, "--info-fd", str(info_end), "--", *self._guard()], info_end)
        finally:
            os.close(info_end)
        with os.fdopen(info) as file:
            said = file.read()
        if not said:
            raise NotStarted
        pid = json.loads(said)["child-pid"]
        try:
            self._first_fd = os.pidfd_open(pid)
            self._first = psutil.Process(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            raise NotStarted from None

    def _spawn(self, command: list[str], *pipes: int) -> None:
        subprocess.Popen(  # noqa: S603  the command is ours, and no shell reads it
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output_end,
            stderr=self._output_end,
            env=dict(self._order.environment),
            cwd=self._folder.home,
            pass_fds=(self._control_end, self._report_end, *pipes),
            start_new_session=True,
        )


def _kill_and_wait(process: int) -> None:
    """Kill the first process of a namespace by its pidfd; the kernel says that it has ended once all others have."""
    with suppress(ProcessLookupError):  # it has ended, and been reaped
        signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)


def _kernel_limits(limits: Limits, isolated: bool) -> dict[str, int]:
    """Return the limits that the kernel keeps for each process, by their names in the module `resource`.

    RLIMIT_DATA counts what a process may write to in memory, not addresses that it only reserves, as RLIMIT_AS does:
    JavaScript engines reserve many gigabytes. RLIMIT_NPROC counts all processes of a user in the same namespace, so
    without a namespace it would count people's own.
    """
    kept = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": HARD * limits.memory_mb * MB,
        "RLIMIT_FSIZE": HARD * limits.disk_mb * MB,
    }
    return kept | ({"RLIMIT_NPROC": HARD * limits.threads} if isolated else {})
