"""A program as the process that watches it holds it: the guard that runs it, with bubblewrap around it or without."""

import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from soulcaster.errors import SoulcasterError
from soulcaster.isolation.control_group import ControlGroup, most_tasks

GUARD = "soulcaster.isolation.guard"

GUARD_COMMAND = (sys.executable, "-I", "-m", GUARD)
"""How a guard is started where it sees this process's Python with all packages."""

HARD = 2
"""The kernel refuses what is this many times a limit to a single process; below that the watch ends the program."""


class NotStarted(SoulcasterError):
    """Bubblewrap could not start the program."""


class Program:
    """One program, from its start to the death of everything that it started.

    `output` is what it prints, `report` what its guard says of it: two pipes to read from.
    """

    def __init__(
        self,
        isolation: Sequence[str],
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        limits: Mapping[str, int],
        *,
        doors: Mapping[int, str] | None = None,
        guard: Sequence[str] = GUARD_COMMAND,
        nice: int = 0,
    ) -> None:
        """Start nothing yet.

        `isolation` is the command line of bubblewrap, empty without it; `folder` the working directory; `limits` are
        those of the kernel (see `kernel_limits`); `doors` are the unix sockets that ports of 127.0.0.1 lead to. `nice`
        is added to the program's niceness, so that whoever watches it gets its turn.
        """
        self._isolation = tuple(isolation)
        self._command = tuple(command)
        self._environment = environment
        self._folder = folder
        self._tasks = limits.get("RLIMIT_NPROC")
        self._group: ControlGroup | None = None
        self._order = json.dumps({"limits": dict(limits), "doors": dict(doors or {}), "nice": nice})
        self._guard_command = tuple(guard)
        self._control_end, self._control = os.pipe()
        self._outer: subprocess.Popen[bytes] | None = None
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
            if self._isolation:
                self._start_isolated()
            else:
                self._outer = self._spawn(self._guard())
        finally:
            for end in (self._control_end, self._output_end, self._report_end):
                os.close(end)

    def processes(self) -> list[psutil.Process]:
        """Return its processes that live now, the guard included."""
        try:
            if self._first is None:
                if self._outer is None:
                    return []
                guard = psutil.Process(self._outer.pid)
                return [guard, *guard.children(recursive=True)]
            return [self._first, *self._first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill it. To be called once.

        In bubblewrap nothing of it is left when this returns. Without, the guard kills what it started and ends:
        `wait` for it, or kill all of this process's descendants.
        """
        os.close(self._control)
        if self._first_fd is not None:
            _kill_and_wait(self._first_fd)

    def wait(self) -> None:
        """Return when bubblewrap, or the guard where it runs without, has ended; only after `kill`."""
        if self._outer is not None:
            self._outer.wait()
        if self._group is not None:
            self._group.remove()
            self._group = None

    def _guard(self) -> list[str]:
        return [*self._guard_command, str(self._control_end), str(self._report_end), self._order, *self._command]

    def _start_isolated(self) -> None:
        info, info_end = os.pipe()
        try:
            command = [*self._isolation, "--info-fd", str(info_end), "--", *self._guard()]
            if shutil.which(command[0]) is None:  # a shell would only print it
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
            self._group = ControlGroup.make(most_tasks(self._tasks)) if self._tasks else None
            command = self._group.entering(command) if self._group else command
            self._outer = self._spawn(command, info_end)
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

    def _spawn(self, command: list[str], *pipes: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603  the command is ours, and no shell reads it
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output_end,
            stderr=self._output_end,
            env=dict(self._environment),
            cwd=self._folder,
            pass_fds=(self._control_end, self._report_end, *pipes),
            start_new_session=True,
        )


def _kill_and_wait(process: int) -> None:
    """Kill the first process of a namespace by its pidfd; the kernel says that it has ended once all others have."""
    with suppress(ProcessLookupError):  # it has ended, and been reaped
        signal.pidfd_send_signal(process, signal.SIGKILL)
    poll = select.poll()  # select would refuse a number of 1024 or more
    poll.register(process, select.POLLIN)
    poll.poll()
    os.close(process)


def kernel_limits(*, memory: int, disk: int, threads: int | None) -> dict[str, int]:
    """Return the limits that the kernel keeps for each process, by their names in the module `resource`; bytes.

    RLIMIT_DATA counts what a process may write to in memory, not addresses that it only reserves, as RLIMIT_AS does:
    JavaScript engines reserve many gigabytes. RLIMIT_NPROC counts all threads of a user in the same namespace, so
    without a namespace (`threads` is None) it would count people's own.
    """
    kept = {"RLIMIT_CORE": 0, "RLIMIT_DATA": HARD * memory, "RLIMIT_FSIZE": HARD * disk}
    return kept | ({} if threads is None else {"RLIMIT_NPROC": HARD * threads})


def how_it_ended(status: int) -> str:
    """Return a wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"it was killed by signal {-code}"
