"""Ports on loopback: whether one is free, and whether something listens on it."""

import asyncio
import random
import socket
from collections.abc import Sequence

from soulcaster.errors import StackError

PORTS = range(15_000, 32_000)
"""Below the range that the kernel takes the ports of outgoing connections from.

A client that keeps trying to reach a server that is down would, sooner or later, connect to itself on such a port and
keep it from the server.
"""

CONNECT_SECONDS = 1.0

_TRIES = 200


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server can listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: Sequence[int] = ()) -> int:
    """Return a free port on loopback that is not in `taken`.

    Raises:
        StackError: none of the many that were tried is free.
    """
    for port in random.sample(PORTS, _TRIES):
        if port not in taken and port_is_free(port):
            return port
    raise StackError(
        f"No free port between {PORTS.start} and {PORTS.stop} on this machine; something uses nearly all of them."
    )


async def accepts(port: int) -> bool:
    """Return whether something accepts connections on the loopback port."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
