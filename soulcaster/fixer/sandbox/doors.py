"""Doors: what a command in the sandbox can reach, by a port of its own 127.0.0.1.

Behind a door is a server in this process, on a unix socket. Each command gets a door of its own, so that what it tried
is known.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from soulcaster.ports.sandbox import Ended, Network


@dataclass(slots=True)
class Door:
    """An open door: its port inside, the variables that make programs use it, and the hosts that it refused."""

    port: int
    environment: Mapping[str, str]
    blocked: list[str] = field(default_factory=list)


class Server(Protocol):
    """What can open a door."""

    def door(self, socket: Path) -> AbstractAsyncContextManager[Door]:
        """Serve at a unix socket while this is open."""


Doors = Mapping[Network, tuple[Server, ...]]
"""The servers that a command reaches, by its network."""


async def open_doors(stack: AsyncExitStack, doors: Doors, network: Network, folder: Path) -> Mapping[str, Door]:
    """Open the doors of a network until the stack ends; return them by the name of their socket in the folder."""
    names = {f"{number}": server for number, server in enumerate(doors.get(network, ()))}
    return {name: await stack.enter_async_context(server.door(folder / name)) for name, server in names.items()}


def variables_of(doors: Iterable[Door]) -> Mapping[str, str]:
    """Return the variables of all these doors."""
    return {name: value for door in doors for name, value in door.environment.items()}


def with_blocked(ended: Ended, doors: Iterable[Door]) -> Ended:
    """Return how a command ended, with the hosts that it could not reach, each once."""
    return replace(ended, blocked=tuple(dict.fromkeys(host for door in doors for host in door.blocked)))
