"""Ports on loopback: whether one is free, and whether something listens on it."""

import asyncio
import random
import socket

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


_reserved: list[socket.socket] = []
"""Holds the reservations of `free_port` until this process ends."""


def free_port() -> int:
    """Return a free TCP port on loopback that no call returned before, in any process of ours that still runs.

    A server may start to listen long after its port was chosen, and may be stopped and started again. So this process
    keeps the port reserved until it ends, by the UDP port of the same number, which nothing of ours uses.

    Raises:
        StackError: none of the many that were tried is free.
    """
    for port in random.sample(PORTS, _TRIES):
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        if port_is_free(port):
            _reserved.append(reservation)
            return port
        reservation.close()
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
