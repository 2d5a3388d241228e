"""The sandbox in bubblewrap, on a machine or inside of the bubblewrap of the backend `local`."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from soulcaster.fixer.sandbox.doors import Doors, open_doors, variables_of, with_blocked
from soulcaster.fixer.sandbox.running import THREADS, Running
from soulcaster.fixer.sandbox.view import (
    OURS,
    Folders,
    View,
    check_python,
    check_shown,
    guard,
    tools_on_path,
    working_folders,
)
from soulcaster.isolation import bubblewrap
from soulcaster.isolation.program import Program, kernel_limits
from soulcaster.isolation.tools import Tools
from soulcaster.ports.sandbox import HOME, WORK, Ended, Network, NoSandbox, SandboxLimits, Tree

ALWAYS: Mapping[str, str] = {
    "HOME": HOME,
    "USER": "job",
    "LOGNAME": "job",
    "SHELL": "/bin/sh",
    "LANG": "C.UTF-8",
    "PWD": WORK,
    "TMPDIR": "/tmp",  # noqa: S108  its own
}
"""Variables of every command, besides `PATH` and those of its doors and tools."""


NICE = 19
"""The niceness of commands: this process ends them at their limits, and must get its turn among thousands of them."""


class BubblewrapSandbox:
    """Sandbox in namespaces of its own: user, processes, network, mounts, host name, IPC.

    A command has no capability and cannot get one. It sees /usr, some of /etc, the tools, its tree, and a /tmp and a
    /dev of its own. It has no network but loopback. Where the kernel does not allow a /proc of its own, which is so
    inside of the bubblewrap of a launcher that is root, it sees the outer /proc, read-only: names and command lines of
    processes, such as ours. It cannot read their environment or memory, nor act on them: the kernel asks for a
    capability in *their* user namespace (ptrace(2), "Ptrace access mode checking").
    """

    def __init__(
        self,
        doors: Doors | None = None,
        *,
        tools: Sequence[Path] | None = None,
        place: Path | None = None,
        bubblewraps: Sequence[Path] | None = None,
    ) -> None:
        """Start nothing yet.

        `doors` are the servers that a command reaches by its network. `tools` are folders that commands see read-only,
        by default those on the `PATH` of this process outside of /usr, without our own virtual environment. `place` is
        a folder for what commands write to /tmp. `bubblewraps` are the binaries to try.

        Raises:
            BadInput: one of `tools` cannot be shown.
        """
        self._doors = doors or {}
        self._tools = tools_on_path() if tools is None else Tools.of(tools)
        self._place = place
        self._bubblewraps = bubblewraps
        self._view: View | None = None

    async def view(self) -> View:
        """Return what commands see here, which the first call finds out.

        Raises:
            NoSandbox: bubblewrap does not work here; it says why.
        """
        if self._view is None:
            self._view = await asyncio.to_thread(self._working_view)
        return self._view

    async def run(
        self,
        command: Sequence[str],
        tree: Tree,
        limits: SandboxLimits,
        *,
        network: Network = "none",
        environment: Mapping[str, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        """Run a command in the tree; see Sandbox.

        Raises:
            NoSandbox: commands cannot be isolated here.
            BadInput: one of `read_only` would be in the tree.
        """
        shown = read_only or {}
        check_shown(shown)
        view = await self.view()
        async with working_folders(self._place) as folders, AsyncExitStack() as stack:
            doors = await open_doors(stack, self._doors, network, folders.doors)
            variables = {**ALWAYS, "PATH": view.path(), **self._tools.environment(), **variables_of(doors.values())}
            threads = THREADS * limits.processes
            kept = kernel_limits(memory=limits.memory_bytes, disk=limits.disk_bytes, threads=threads)
            program = Program(
                view.command_line(folders, tree, shown),
                command,
                {**variables, **(environment or {})},
                folders.tmp,
                kept,
                doors={door.port: f"{OURS}/doors/{name}" for name, door in doors.items()},
                guard=guard(),
                nice=NICE,
            )
            ended = await Running(program, limits, (tree.work, tree.home, folders.tmp), on_line).to_end()
        return with_blocked(ended, doors.values())

    def _working_view(self) -> View:
        check_python()
        failures = []
        candidates = bubblewrap.candidates() if self._bubblewraps is None else self._bubblewraps
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            folders = Folders.make(place)
            tree = Tree(place / "tmp", place / "tmp")
            for program in candidates:
                for own_proc in (True, False):
                    view = View(program, self._tools, own_proc)
                    why = bubblewrap.failure(view.command_line(folders, tree, {}))
                    if why is None:
                        return view
                    failures.append(f"{program}: {why}")
        why = "; ".join(failures) or "bubblewrap is not installed"
        raise NoSandbox(f"Commands cannot be isolated here: {why}")
