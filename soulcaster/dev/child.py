"""A child process that is started, watched and stopped with everything it starts, and that dies with its parent.

It uses plain `subprocess` and polling, bound to no event loop, so a child can be started in one loop and stopped in
another, as tests do.
"""

import asyncio
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from soulcaster.errors import StackError
from soulcaster.processes.base_settings import environment_with

POLL_SECONDS = 0.05
LAST_LINES = 5
_CAUSE = re.compile(r"^soulcaster: |^[\w.]*(Error|Exception|Unavailable|Refuses)\b|\[critical\b|\bFATAL\b|\bFatal\b")
"""A line of a log that says why a process ended: our own errors, the end of a stack trace, what Kafka and Redis say."""

LOG_ROTATE_BYTES = 8 * 1024 * 1024
"""The longest that a log becomes; the one before it has as many."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Started(Protocol):
    """What a child needs of a process that it has started; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Return its exit code, the negative number of the signal that ended it; None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""


class Child:
    """One child process in its own process group, with its output in a log file.

    It can be started, stopped and killed repeatedly. On Linux the kernel kills it when the thread that started it ends,
    so start it in the main thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        grace: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet. It has `grace` seconds between SIGTERM and SIGKILL; `env` is added to our environment."""
        self.name = name
        self.log = log
        self._command = list(command)
        self._grace = grace
        self._cwd = cwd
        self._env = environment_with(env or {})
        self._process: Started | None = None
        self._log_start = 0

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            StackError: it was never started.
        """
        if self._process is None:
            raise StackError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it, unless it is running.

        Raises:
            StackError: there is no such program, or it cannot be executed.
        """
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._bound_log()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = self._begin(log)

    def _begin(self, log: BinaryIO) -> Started:
        try:
            return subprocess.Popen(  # noqa: S603  our own commands, no shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,  # Ctrl-C in the terminal reaches us only, and we stop children in order
                preexec_fn=die_with_parent(os.getpid()),
            )
        except OSError as error:
            raise StackError(f"{self.name} could not be started: {error}") from error

    async def wait_ready(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Return when `ready` returns true; it is asked every `POLL_SECONDS`.

        Raises:
            StackError: the child ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.running:
                raise self.death()
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s; its log is {self.log}")
            await asyncio.sleep(POLL_SECONDS)

    async def wait(self) -> int:
        """Return its exit code once it has ended: the negative number of the signal, if a signal ended it."""
        while self.running:
            self._bound_log()
            await asyncio.sleep(POLL_SECONDS)  # an event would be bound to one loop
        return self._exit_code()

    async def stop(self) -> None:
        """Send SIGTERM, wait for its grace, then kill its process group; return when nothing of it is left."""
        if self.running:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + self._grace
            while self.running and time.monotonic() < deadline:  # noqa: ASYNC110  as above
                await asyncio.sleep(POLL_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """Kill it and what it started at once, by SIGKILL; return when it is gone."""
        if self._process is not None:
            self._signal_group(signal.SIGKILL)
            await self.wait()

    def pause(self) -> None:
        """Suspend it (SIGSTOP), as a machine that hangs would; `resume` continues it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue it after `pause`."""
        self._signal(signal.SIGCONT)

    def death(self) -> StackError:
        """Return the error that says how it ended and why, where its log is, and the log's last lines."""
        last = "\n".join(f"  {line}" for line in self._last_lines()[-LAST_LINES:])
        return StackError(
            f"{self.name} {self.how_it_ended()}; its log is {self.log}" + (f", and says last:\n{last}" if last else ".")
        )

    def how_it_ended(self) -> str:
        """Return its exit code or signal, and the line of its log that names the cause, where one does."""
        code = self._exit_code()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        cause = next((line for line in reversed(self._last_lines()) if _CAUSE.search(line)), None)
        return how if cause is None else f"{how}: {cause.strip()}"

    def _bound_log(self) -> None:
        """Begin the log anew where it is too long, and keep what was in it as the one before.

        It is copied and emptied, because the child goes on writing to the file that it has; lines that it writes in
        between are lost. Where the disk is full, what was in it is lost, too: that makes room.
        """
        if not self.log.exists() or self.log.stat().st_size <= LOG_ROTATE_BYTES:
            return
        before = self.log.with_suffix(f".1{self.log.suffix}")
        try:
            shutil.copyfile(self.log, before)
        except OSError:
            before.unlink(missing_ok=True)
        os.truncate(self.log, 0)
        self._log_start = 0

    def _last_lines(self, window: int = 16_384) -> list[str]:
        """Return the last lines that it wrote since it started, without the lines of a stack trace."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - window))
            lines = log.read().decode(errors="replace").splitlines()
        return [line[:300] for line in lines if line.strip() and not line.startswith(("\t", "    "))]

    def _exit_code(self) -> int:
        code = self._process.poll() if self._process else None
        if code is None:
            raise StackError(f"{self.name} has not ended")
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # the whole group has ended already


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Return a function for a new process to call first, so that it is killed when its parent is; Linux only."""
    if _LIBC is None:
        return None
    libc = _LIBC

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(1)

    return before_exec
