"""The way out of the sandbox: allowed hosts are reached, all others are refused and named."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.fixer.sandbox.doors import Door
from soulcaster.fixer.sandbox.egress import Egress, LateEgress, forbidden
from soulcaster.isolation import bubblewrap
from soulcaster.ports.sandbox import SandboxLimits, Tree


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server on loopback that says back what it hears; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.readline())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def ask(socket: Path, head: str, then: bytes = b"hello\n") -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(f"{head}\r\n\r\n".encode() + then)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@asynccontextmanager
async def opened(egress: Egress, tmp_path: Path) -> AsyncIterator[tuple[Path, Door]]:
    async with egress.door(tmp_path / "s") as door:
        yield tmp_path / "s", door


async def test_an_allowed_host_is_reached(tmp_path: Path) -> None:
    async with echo() as port, opened(Egress(["localhost"], port=port, private=["localhost"]), tmp_path) as (at, door):
        answer = await ask(at, f"CONNECT localhost:{port} HTTP/1.1")
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nheard hello\n"
    assert door.blocked == []


async def test_hosts_may_be_known_later(tmp_path: Path) -> None:
    known: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def hosts() -> list[str]:
        return await known

    late = LateEgress(asyncio.create_task(hosts()))
    given_up, waiting = (asyncio.create_task(_refused(late, tmp_path / name)) for name in ("a", "b"))
    await asyncio.wait({given_up, waiting}, timeout=0.1)
    given_up.cancel()
    await asyncio.wait({given_up})
    assert not waiting.done()
    known.set_result(["registry.example"])
    assert await waiting == "evil.example is not one of the hosts that a set-up may reach"


async def _refused(late: LateEgress, socket: Path) -> str:
    async with late.door(socket):
        answer = await ask(socket, "CONNECT evil.example:443 HTTP/1.1")
    return answer.decode().partition("Soulcaster: ")[2].rstrip(".\n")


@pytest.mark.parametrize(
    ("head", "blocked"),
    [
        ("CONNECT evil.example:443 HTTP/1.1", "evil.example"),
        ("CONNECT registry.example:22 HTTP/1.1", "registry.example:22"),
        ("CONNECT notregistry.example:443 HTTP/1.1", "notregistry.example"),
        ("CONNECT 169.254.169.254:443 HTTP/1.1", "169.254.169.254"),
        ("CONNECT [::1]:443 HTTP/1.1", "::1"),
        ("GET http://evil.example/x HTTP/1.1", "evil.example"),
    ],
)
async def test_everything_else_is_refused_and_named(tmp_path: Path, head: str, blocked: str) -> None:
    async with opened(Egress(["registry.example"]), tmp_path) as (at, door):
        answer = await ask(at, head)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert door.blocked == [blocked]


async def test_a_name_that_leads_to_this_machine_is_refused(tmp_path: Path) -> None:
    async with echo() as port, opened(Egress(["localhost"], port=port), tmp_path) as (at, door):
        answer = await ask(at, f"CONNECT localhost:{port} HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert door.blocked == ["localhost"]


@given(st.binary(max_size=300))
async def test_nonsense_ends_the_connection_and_nothing_else(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("soulcaster.fixer.sandbox.egress.HEAD_SECONDS", 0.05)
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as name:
            async with opened(Egress(["registry.example"]), Path(name)) as (at, _door):
                reader, writer = await asyncio.open_unix_connection(at)
                writer.write(data)
                writer.write_eof()
                assert b"200 Connection" not in await asyncio.wait_for(reader.read(), 10)
                writer.close()
                assert (await ask(at, "CONNECT evil.example:443 HTTP/1.1")).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),  # noqa: S104
    ],
)
def test_addresses_of_our_own_networks_are_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", ["151.101.0.223", "2a04:4e42::223", "203.0.113.80"])
def test_addresses_of_the_internet_are_not(address: str) -> None:
    assert not forbidden(address)


async def test_a_command_in_the_sandbox_uses_it_by_its_variables(tmp_path: Path) -> None:
    if not bubblewrap.candidates():
        pytest.skip("there is no bubblewrap here")
    tree = Tree(tmp_path / "work", tmp_path / "home")
    tree.work.mkdir()
    tree.home.mkdir()
    async with echo() as port:
        egress = Egress(["localhost"], port=port, private=["localhost"])
        sandbox = BubblewrapSandbox({"registries": (egress,)}, place=tmp_path)
        script = (
            "import os, urllib.request as u, urllib.parse, socket\n"
            "at = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])\n"
            "s = socket.create_connection((at.hostname, at.port), 5)\n"
            f"s.sendall(b'CONNECT localhost:{port} HTTP/1.1\\r\\n\\r\\n'); print(s.recv(99)); s.sendall(b'hi\\n')\n"
            "print(s.recv(99))\n"
            "try: u.urlopen('https://evil.example/', timeout=5)\n"
            "except OSError as error: print(error)\n"
        )
        ended = await sandbox.run(["python3", "-c", script], tree, SandboxLimits(seconds=20), network="registries")
    assert "heard hi" in ended.tail
    assert "403" in ended.tail
    assert ended.blocked == ("evil.example",)
