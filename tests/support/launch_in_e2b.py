"""The harness of the backend `e2b`: the SDK against an E2B on loopback, whose sandboxes run real programs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from soulcaster.errors import Unavailable
from soulcaster.launcher.backends.e2b import E2bBackend
from soulcaster.ports.launch_backend import Launch
from soulcaster.ports.sandboxes import Sandboxes
from tests.support.e2b_sandbox import E2bSandbox
from tests.support.e2b_server import E2bServer
from tests.support.launch_backends import PRINTS, Harness, Lack

PROGRAM = f"""
echo $$ >>"$HOME/started"
echo "{PRINTS}"
while ! [ -f "$HOME/finish" ]; do sleep 0.02; done
exit "$(cat "$HOME/finish")"
"""

_LOOK_AT_VARIABLES = 'timeout 10 sh -c \'tr "\\0" "\\n" </proc/$$/environ\''


class E2bHarness:
    """Fulfils Harness."""

    # E2B keeps nothing of a launch that never had a sandbox.
    lacks: frozenset[Lack] = frozenset({"memory of stops"})

    def __init__(self, server: E2bServer, base_variables: frozenset[str]) -> None:
        self.server = server
        self.base_variables = base_variables

    def backend(self) -> E2bBackend:
        return self.backend_over(self.server.client())

    def backend_over(self, sandboxes: Sandboxes) -> E2bBackend:
        """Return a backend over a client, or what is in front of it."""
        return E2bBackend(sandboxes, PROGRAM)

    async def launch_unheard(self, launch: Launch) -> None:
        self.server.lose_answer("run")
        with pytest.raises(Unavailable):
            await self.backend().launch(launch)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self.server.is_away = True
        yield
        self.server.is_away = False

    async def started(self, launch: Launch) -> int:
        return len(self._programs(launch))

    async def alive(self, launch: Launch) -> int:
        return sum(_is_alive(process) for process in self._programs(launch))

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        (process,) = self._programs(launch)
        return dict(psutil.Process(process).environ())

    async def finish(self, launch: Launch, code: int) -> None:
        for sandbox in self.server.of(launch.key):
            (sandbox.folder / "finish.part").write_text(str(code))
            (sandbox.folder / "finish.part").rename(sandbox.folder / "finish")

    def _programs(self, launch: Launch) -> list[int]:
        """Return the ids of all processes of the program that were ever started for a launch."""
        files = [sandbox.folder / "started" for sandbox in self.server.of(launch.key)]
        return [int(line) for file in files if file.exists() for line in file.read_text().split()]


def _is_alive(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def e2b_harness(folder: Path, base_variables: frozenset[str] = frozenset()) -> AsyncIterator[E2bHarness]:
    async with E2bServer(folder) as server:
        yield E2bHarness(server, base_variables)


@asynccontextmanager
async def in_e2b(folder: Path) -> AsyncIterator[Harness]:
    async with e2b_harness(folder, await _base_variables(folder)) as harness:
        yield harness


async def _base_variables(folder: Path) -> frozenset[str]:
    """Return the names of the variables that every program in a sandbox has: envd's and the login shell's."""
    (folder / "base").mkdir()
    printed = await E2bSandbox("base", folder / "base", {}, 60).printed(_LOOK_AT_VARIABLES)
    return frozenset(line.partition("=")[0] for line in printed.split("\n") if "=" in line)
