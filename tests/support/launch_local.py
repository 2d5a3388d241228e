"""The harness of the backend `local`: real processes, seen from outside their isolation."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path

import psutil
import pytest

from soulcaster.isolation.program import GUARD
from soulcaster.launcher.backends.local import bubblewrap
from soulcaster.launcher.backends.local.backend import Local
from soulcaster.launcher.backends.local.folder import JobFolder
from soulcaster.launcher.backends.local.order import Limits
from soulcaster.ports.launch_backend import Launch, Task
from tests.support.launch_backends import PRINTS, Harness, Lack, eventually, make_launch

PROGRAM = f"""
import json, os, pathlib, sys, time
home = pathlib.Path.home()
(home / "new").write_text(json.dumps(dict(os.environ)))
(home / "new").rename(home / "environment")
print({PRINTS!r}, flush=True)
finish = home / "finish"
while not finish.exists():
    time.sleep(0.01)
sys.exit(int(finish.read_text()))
"""

FAMILY = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
{PROGRAM}
"""
"""A program whose grandchild is in another session, has lost its parent, and ignores SIGTERM."""

LAUNCHER = """
import asyncio, json, sys
from pathlib import Path
from soulcaster.launcher.backends.local.backend import Local
from soulcaster.ports.launch_backend import Launch, Task
given = json.loads(sys.argv[1])
backend = Local(Path(given["jobs"]), given["command"], **given["options"])
asyncio.run(backend.launch(Launch(**given["launch"])))
"""
"""A launcher of its own, to be killed."""


class LocalMachine:
    """A jobs folder, the processes in it, and the backends that share it."""

    lacks: frozenset[Lack] = frozenset()
    base_variables = frozenset({"PATH", "HOME", "LANG", "PWD", "TMPDIR"})

    def __init__(
        self,
        place: Path,
        program: str = PROGRAM,
        *,
        isolated: bool = True,
        limits: Limits | None = None,
        command: Sequence[str] = (),
        tools: Sequence[Path] = (),
    ) -> None:
        self.jobs = place / "jobs"
        self._place = place
        self._command = list(command) or [sys.executable, "-c", program]
        self._limits = limits
        self._isolated = isolated
        self._tools = tools
        self._launched: list[Launch] = []

    def backend(self) -> Local:
        if self._isolated:
            return Local(self.jobs, self._command, limits=self._limits, tools=self._tools)
        return Local(self.jobs, self._command, limits=self._limits, without_isolation=True, bubblewraps=())

    def folder(self, launch: Launch) -> JobFolder:
        return JobFolder(self.jobs / launch.key)

    def launcher(self, launch: Launch) -> "subprocess.Popen[bytes]":
        """Start a launcher in a process of its own that launches this and ends."""
        options = {} if self._isolated else {"without_isolation": True, "bubblewraps": []}
        given = {"jobs": str(self.jobs), "command": self._command, "options": options, "launch": asdict(launch)}
        return subprocess.Popen([sys.executable, "-c", LAUNCHER, json.dumps(given)])  # noqa: S603

    async def launch_unheard(self, launch: Launch) -> None:
        launcher = self.launcher(launch)
        try:
            await eventually(lambda: asyncio.to_thread(lambda: self.folder(launch).start() is not None))
        finally:
            launcher.kill()
            launcher.wait()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        elsewhere = self._place / "elsewhere"
        self.jobs.rename(elsewhere)
        self.jobs.write_text("no folder")
        try:
            yield
        finally:
            self.jobs.unlink()
            elsewhere.rename(self.jobs)

    async def started(self, launch: Launch) -> int:
        return self.folder(launch).last_output(100_000).count(PRINTS)

    async def alive(self, launch: Launch) -> int:
        return len(self.processes(launch))

    def processes(self, launch: Launch) -> list[psutil.Process]:
        """Return the program and what it started: the processes that have the token of this launch."""
        return [process for process in self.all_processes(launch) if GUARD not in command_line(process)]

    def all_processes(self, launch: Launch) -> list[psutil.Process]:
        """Return the same, and bubblewrap and the guard."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("JOB_TOKEN") == launch.token:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        found: dict[str, str] = json.loads((self.folder(launch).home / "environment").read_text())
        return found

    async def finish(self, launch: Launch, code: int) -> None:
        home = self.folder(launch).home
        (home / "code").write_text(str(code))
        (home / "code").rename(home / "finish")

    async def end(self) -> None:
        """Kill what is left."""
        for path in self.jobs.iterdir() if self.jobs.is_dir() else ():
            folder = JobFolder(path)
            start = folder.start()
            if start is not None and folder.in_progress():
                psutil.Process(start.pid).send_signal(signal.SIGKILL)


@cache
def isolation_works() -> bool:
    """Return whether bubblewrap works here; it does not where the system forbids user namespaces."""
    return any(bubblewrap.failure(program) is None for program in bubblewrap.candidates())


needs_isolation = pytest.mark.skipif(not isolation_works(), reason="bubblewrap does not work here")


def command_line(process: psutil.Process) -> list[str]:
    """Return its words; none when it has ended."""
    try:
        words: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return words


@asynccontextmanager
async def local(place: Path) -> AsyncIterator[Harness]:
    machine = LocalMachine(place, isolated=isolation_works())
    yield machine
    await machine.end()


@asynccontextmanager
async def running(machine: LocalMachine, seconds: int = 60, processes: int = 1) -> AsyncIterator[tuple[Local, Launch]]:
    """Launch the machine's program; go on when so many processes of it are there."""
    backend, launch = machine.backend(), make_launch(seconds=seconds)
    await backend.launch(launch)

    async def there() -> bool:
        return len(machine.processes(launch)) == processes and (machine.folder(launch).home / "environment").exists()

    await eventually(there)
    yield backend, launch
    await machine.end()


async def end_of(backend: Local, launch: Launch) -> Task:
    async def is_so() -> bool:
        return (await backend.observe(launch)).state == "ended"

    await eventually(is_so, 15)
    return await backend.observe(launch)


async def run(machine: LocalMachine, seconds: int = 60) -> Task:
    """Run the machine's program to its end."""
    backend, launch = machine.backend(), make_launch(seconds=seconds)
    await backend.launch(launch)
    try:
        ended = await end_of(backend, launch)
    finally:
        await machine.end()
    assert machine.all_processes(launch) == []
    return ended


async def nothing_runs(machine: LocalMachine, launch: Launch) -> None:
    async def is_so() -> bool:
        return machine.all_processes(launch) == []

    await eventually(is_so)


def names(folder: JobFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()} if folder.path.is_dir() else set()
