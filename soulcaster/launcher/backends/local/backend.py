"""The backend `local`, as the launcher uses it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from soulcaster.errors import Unavailable
from soulcaster.isolation.tools import Tools
from soulcaster.launcher.backends.local import bubblewrap
from soulcaster.launcher.backends.local.folder import DIED, JobFolder
from soulcaster.launcher.backends.local.order import Limits, Order
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task

SUPERVISOR = "soulcaster.launcher.backends.local.supervisor"
START_SECONDS = 10.0
STOP_SECONDS = 5.0
KILL_SECONDS = 2.0
LOOK_SECONDS = 0.02
OUTPUT_BYTES = 4096
NEVER_STARTED = "stopped before it started"

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Local:
    """LaunchBackend that runs each program on this machine, in bubblewrap, with a supervisor of its own.

    All launchers that share `jobs` must be on one machine.
    """

    name = "local"

    def __init__(
        self,
        jobs: Path,
        command: Sequence[str],
        *,
        limits: Limits | None = None,
        without_isolation: bool = False,
        hidden: Sequence[Path] = (),
        bubblewraps: Sequence[Path] | None = None,
        tools: Sequence[Path] = (),
    ) -> None:
        """Start nothing yet.

        `jobs` is the folder that holds a folder for each launch; `command` the program and its arguments. Where
        bubblewrap does not work, programs run `without_isolation` or not at all. `hidden` are folders that no program
        may see, such as the data directory. `bubblewraps` are the binaries to try, by default the package's and the
        system's. `tools` are folders of tools that programs see read-only, their `bin` on the path.

        Raises:
            BadInput: one of `tools` cannot be shown.
        """
        self._jobs = jobs.absolute()
        self._command = tuple(command)
        self._limits = limits or Limits()
        self._without_isolation = without_isolation
        self._hidden = [self._jobs, *(path.absolute() for path in hidden)]
        self._bubblewraps = bubblewraps
        self._tools = Tools.of(tools)
        self._bubblewrap: Path | None = None
        self._warned = False

    async def launch(self, launch: Launch) -> Task:
        """Start the program in the background, once for each key; return when its supervisor has recorded the start."""
        task = await self.observe(launch)
        if task.state != "gone":
            return task
        folder = self._folder(launch)
        order = await _thread(lambda: self._order(launch, folder))
        await _thread(lambda: _start_supervisor(order))
        task = await self.observe(launch)
        if task.state == "gone":
            raise LaunchRefused(f"The supervisor of {launch.key} could not start; {folder.log} says why.")
        return task

    async def observe(self, launch: Launch) -> Task:
        """Return what the launch's folder says, and whether its supervisor lives."""
        folder = self._folder(launch)
        return await _thread(lambda: _seen(folder, launch.key))

    async def stop(self, launch: Launch) -> None:
        """Leave the wish to stop, which the supervisor carries out; kill a supervisor that does not.

        Raises:
            Unavailable: something of it still runs after five seconds.
        """
        folder = self._folder(launch)
        task = await self.observe(launch)
        if task.state == "ended":
            return
        await _thread(folder.ask_to_stop)
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        while await _thread(folder.in_progress):
            if clock() - asked_at > STOP_SECONDS:
                raise Unavailable(f"{task.id} still runs {STOP_SECONDS:.0f} s after it was to stop.")
            if clock() - asked_at > KILL_SECONDS:
                await _thread(lambda: _kill_supervisor(folder))
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Do nothing: supervisors go on, and nothing is open."""

    def _folder(self, launch: Launch) -> JobFolder:
        if not _KEY.fullmatch(launch.key):
            raise LaunchRefused(f"{launch.key!r} cannot be the name of a folder.")
        return JobFolder(self._jobs / launch.key)

    def _order(self, launch: Launch, folder: JobFolder) -> Order:
        """Return what the supervisor is to run.

        Raises:
            LaunchRefused: it would run without isolation, and no setting allows that.
        """
        isolation = self._isolation(folder)
        home, tmp = (bubblewrap.HOME, "/tmp") if isolation else (str(folder.home), str(folder.tmp))  # noqa: S108
        path = ":".join([bubblewrap.PATH, *self._tools.path])
        base = {"PATH": path, "LANG": "C.UTF-8", "HOME": home, "PWD": home, "TMPDIR": tmp}
        environment = base | dict(self._tools.environment()) | dict(launch.environment())
        return Order(folder.path, isolation, self._command, environment, launch.seconds, self._limits)

    def _isolation(self, folder: JobFolder) -> tuple[str, ...]:
        """Return bubblewrap's command line, empty where programs may run without it."""
        failures = []
        if self._bubblewrap is None:
            for program in bubblewrap.candidates() if self._bubblewraps is None else self._bubblewraps:
                failed = bubblewrap.failure(program)
                if failed is None:
                    self._bubblewrap = program
                    break
                failures.append(f"{program}: {failed}")
        if self._bubblewrap is not None:
            return bubblewrap.command_line(self._bubblewrap, folder, self._hidden, self._tools)
        why = "; ".join(failures) or "bubblewrap is not installed"
        if not self._without_isolation:
            raise LaunchRefused(
                "Jobs would not be isolated: their programs could read and change whatever the launcher can, because "
                f"bubblewrap does not work here ({why}). SOULCASTER_LOCAL_WITHOUT_ISOLATION=true allows it."
            )
        if not self._warned:
            log.warning("jobs are not isolated: they can read and change whatever the launcher can", because=why)
            self._warned = True
        return ()


def _seen(folder: JobFolder, key: str) -> Task:
    start = folder.start()
    lives = folder.supervised()
    end = folder.end()  # last: a supervisor records the end while it lives
    output = folder.last_output(OUTPUT_BYTES)
    if start is None:
        if lives:
            return Task(key, "starting")
        if folder.start() is not None:  # it started between the first two looks
            return _seen(folder, key)
        return Task(key, "ended", NEVER_STARTED) if folder.asked_to_stop() else Task(key, "gone")
    task_id = f"process {start.pid}"
    if end is None and lives:
        return Task(task_id, "running" if start.running else "starting", output=output)
    return Task(task_id, "ended", DIED if end is None else end, output)


def _start_supervisor(order: Order) -> None:
    """Start a supervisor; return when it has recorded the start, or left that to another one.

    It gets no environment, so that a program without isolation finds no secret of the launcher in it.

    Raises:
        Unavailable: it has not done so in time, and it may still start.
    """
    folder = JobFolder(order.folder)
    folder.create()
    with folder.log.open("ab") as errors:
        try:
            subprocess.run(  # noqa: S603  our own command
                [sys.executable, "-I", "-m", SUPERVISOR],
                input=order.to_bytes(),
                stdout=errors,
                stderr=errors,
                env={"PATH": os.defpath},
                cwd="/",
                start_new_session=True,
                timeout=START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"The supervisor of {folder.path.name} did not start in {START_SECONDS:.0f} s.") from None


def _kill_supervisor(folder: JobFolder) -> None:
    start = folder.start()
    if start is None:
        return
    try:
        process = os.pidfd_open(start.pid)
    except ProcessLookupError:
        return
    try:
        if folder.in_progress():  # so the process that was just opened is the supervisor, and not one with its old id
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


async def _thread(function: Callable[[], _T]) -> _T:
    """Return what a function returns in a thread.

    Raises:
        Unavailable: a file cannot be read or written, or a process cannot be started.
    """
    try:
        return await asyncio.to_thread(function)
    except OSError as error:
        raise Unavailable(f"The backend local cannot work now: {error}.") from error
