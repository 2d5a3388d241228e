"""Answers that nobody reads are cut off; whoever reads, however slowly, gets all of it."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.web import sending
from tests.support.make import item
from tests.support.web import Client, World

WHOLE = 990_000
"""Bytes that every page here has at least."""

SOON = 20.0
"""Seconds after which a test gives up."""


def _listening(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a socket whose connections keep little in the kernel."""
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    listening.bind((host, port))
    return listening


@pytest.fixture
async def long_pages(world: World) -> AsyncIterator[Client]:
    """The server of two projects, each with a page of about 1 MB."""
    for project in ("p1", "p2"):
        await world.read_model.writer.put_items(project, [item(n, project, body="word " * 790) for n in range(260)])
    async with TestClient(TestServer(world.app(), socket_factory=_listening)) as client:
        yield client


class Reader:
    """A connection that has asked for a page, and reads when it is told to."""

    def __init__(self, client: Client, path: str, connection: str) -> None:
        self.connection = socket.socket()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.connect((client.host, client.port))
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n".encode())
        self.connection.setblocking(False)

    async def begin(self) -> "Reader":
        """Wait for the first bytes of the answer."""
        self.first = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.connection, 200), SOON)
        return self

    async def whole(self) -> None:
        """Read to the end of the answer, and keep the connection."""
        size, loop = len(self.first), asyncio.get_running_loop()
        async with asyncio.timeout(SOON):
            while size < WHOLE:
                size += len(await loop.sock_recv(self.connection, 65_536))

    async def rest(self) -> int | None:
        """Read on; return the bytes of the answer, None where the server has cut it off."""
        loop, size = asyncio.get_running_loop(), len(self.first)
        try:
            async with asyncio.timeout(SOON):
                while some := await loop.sock_recv(self.connection, 65_536):
                    size += len(some)
        except ConnectionResetError:
            return None
        finally:
            self.connection.close()
        return size if size > WHOLE else None


async def reader(client: Client, project: str, connection: str = "close") -> Reader:
    return await Reader(client, f"/feedback?project_id={project}&limit=1000", connection).begin()


async def test_the_oldest_answers_of_whoever_leaves_too_many_are_cut_off(
    long_pages: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "UNSENT_OF_ONE", 2_500_000)
    other = await reader(long_pages, "p2")
    greedy = [await reader(long_pages, "p1") for _ in range(4)]
    sizes = [await one.rest() for one in greedy]
    assert [size is None for size in sizes] == [True, True, False, False]
    assert await other.rest() is not None


async def test_all_answers_together_have_a_limit_and_it_hits_whoever_has_the_most(
    long_pages: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "UNSENT_BYTES", 2_500_000)
    greedy = [await reader(long_pages, "p1") for _ in range(2)]
    other = await reader(long_pages, "p2")
    assert [await one.rest() is None for one in greedy] == [True, False]
    assert await other.rest() is not None


async def test_an_answer_is_cut_off_that_is_not_taken_in_time(
    long_pages: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.1)
    late = await reader(long_pages, "p1")
    await asyncio.sleep(0.5)
    assert await late.rest() is None


async def test_an_open_connection_does_not_keep_the_answer_that_it_has_got(long_pages: Client) -> None:
    connections = 8
    tracemalloc.start()
    try:
        await (await long_pages.get("/feedback?project_id=p1&limit=1000")).read()
        before = tracemalloc.get_traced_memory()[0]
        readers = [await reader(long_pages, "p1", "keep-alive") for _ in range(connections)]
        for one in readers:
            await one.whole()
        await asyncio.sleep(0)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    for one in readers:
        one.connection.close()
    assert kept < connections * WHOLE / 2


async def test_what_was_sent_counts_no_more(long_pages: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "UNSENT_OF_ONE", 2_500_000)
    for _ in range(3):
        assert await (await reader(long_pages, "p1")).rest() is not None
    first = await reader(long_pages, "p1")
    gone = await reader(long_pages, "p1")
    gone.connection.close()
    await asyncio.sleep(0.1)
    third = await reader(long_pages, "p1")
    assert await first.rest() is not None
    assert await third.rest() is not None
