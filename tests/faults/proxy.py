"""A TCP proxy on loopback whose wire can be cut: by silence, or by resets."""

import asyncio
from contextlib import suppress
from typing import Self

CHUNK = 64 * 1024


class Proxy:
    """Forwards connections to a port; the same port of its own for all its life."""

    def __init__(self, port: int, to_port: int) -> None:
        self.port = port
        self._to_port = to_port
        self._whole = asyncio.Event()
        self._whole.set()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.reset()

    def cut(self) -> None:
        """Let nothing through from now on; connections stay open, as when a cable is pulled."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through again, what has waited first."""
        self._whole.set()

    def reset(self) -> None:
        """Break off every connection."""
        for connection in self._connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._whole.wait()
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._copy(reader, to_writer))
                    both.create_task(self._copy(to_reader, writer))
            finally:
                to_writer.transport.abort()
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            return  # one of the two has gone, or the wire is cut for good
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            await self._whole.wait()
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()
