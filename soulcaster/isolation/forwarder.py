"""From a port of 127.0.0.1 inside of a network namespace to a server of ours outside, through a unix socket.

A namespace without a network has a loopback of its own, and programs reach servers by address and port. A socket in the
file system passes between namespaces. So a process of ours inside listens on the port, and copies bytes. It is as
strange to us as the program is: what it says is checked outside.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from functools import partial

BACKLOG = 128
COPY_BYTES = 64 * 1024


def forward(doors: Mapping[int, str], close: Sequence[int]) -> None:
    """Listen on these ports, and leave a process behind that copies bytes; return when they can be connected to.

    `close` are file descriptors that this process must not keep open.

    Raises:
        OSError: a port is taken.
    """
    if not doors:
        return
    listeners = [(_listen(port), path) for port, path in doors.items()]
    if os.fork():
        for listener, _ in listeners:
            listener.close()
        return
    try:
        for descriptor in close:
            os.close(descriptor)
        _serve(listeners)
    finally:
        os._exit(1)


def _listen(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _serve(listeners: Sequence[tuple[socket.socket, str]]) -> None:
    import asyncio  # the guard itself does without

    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # the output ends with the program, not with this process
        os.dup2(null, standard)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(COPY_BYTES):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()

    async def through(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(path)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(copy(reader, back), copy(there, writer))
        finally:
            writer.close()
            back.close()

    async def serve() -> None:
        for listener, path in listeners:
            await asyncio.start_server(partial(through, path), sock=listener)
        await asyncio.Event().wait()

    asyncio.run(serve())
