"""The launch backend `ecs` for the contract suite, over an ECS on loopback."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from soulcaster.adapters.aws.ecs import EcsClient, Placement
from soulcaster.errors import Unavailable
from soulcaster.launcher.backends.ecs import EcsBackend
from soulcaster.ports.ecs import EcsTasks
from soulcaster.ports.launch_backend import Launch
from tests.support.ecs_server import CLUSTER, DEFINITION, LOST, EcsServer
from tests.support.launch_backends import Lack

PLACEMENT = Placement(CLUSTER, DEFINITION, ("subnet-1", "subnet-2"), ("sg-1",))


@asynccontextmanager
async def ecs_client(tries: int = 1) -> AsyncIterator[EcsClient]:
    client = EcsClient(PLACEMENT, tries=tries)
    yield client
    await client.close()


class EcsHarness:
    """The server's tasks are the programs. A call has one try, and nothing waits."""

    lacks: frozenset[Lack] = frozenset({"output", "memory of stops"})
    base_variables: frozenset[str] = frozenset()

    def __init__(self, server: EcsServer) -> None:
        self._server = server
        self.client = EcsClient(PLACEMENT, tries=1)

    def backend(self) -> EcsBackend:
        """Return a backend that remembers nothing. They share a client: opening one takes a tenth of a second."""
        return self.backend_over(self.client)

    def backend_over(self, tasks: EcsTasks) -> EcsBackend:
        """Return a backend over the client, or what is in front of it."""
        return EcsBackend(tasks, pauses=(0, 0), observe_seconds=0)

    async def launch_unheard(self, launch: Launch) -> None:
        self._server.faults["RunTask"] = [LOST]
        with pytest.raises(Unavailable):
            await self.backend().launch(launch)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self._server.away = True
        yield
        self._server.away = False

    async def started(self, launch: Launch) -> int:
        return len(self._server.of(launch.key))

    async def alive(self, launch: Launch) -> int:
        return sum(task.container == "RUNNING" for task in self._server.of(launch.key))

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        [task] = self._server.of(launch.key)
        return task.environment

    async def finish(self, launch: Launch, code: int) -> None:
        [task] = self._server.of(launch.key)
        task.exit(code)


@asynccontextmanager
async def in_ecs(folder: Path) -> AsyncIterator[EcsHarness]:
    async with EcsServer() as server:
        server.moves = True
        server.hide_new_tasks = 2
        yield EcsHarness(server)
