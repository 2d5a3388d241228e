"""The way out of the sandbox for set-up: a proxy that connects to package registries and to nothing else.

It speaks CONNECT (RFC 9110, section 9.3.6), which clients use for https, and never sees inside of a connection. The
host must be one of those that are allowed, the port 443. The name is resolved here, once, and the connection goes to an
address that was checked: a name that leads to this machine, a private network or a cloud's metadata is refused.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from soulcaster.fixer.sandbox.doors import Door

PORT = 8791
"""The port of the proxy inside."""

HTTPS = 443
HEAD_BYTES = 8 * 1024
HEAD_SECONDS = 20.0
CONNECT_SECONDS = 20.0
COPY_BYTES = 64 * 1024
MOST_CONNECTIONS = 128
MOST_BLOCKED = 50

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""The machine's certificates, which clients with their own lists are pointed to: a company's mirror may need them."""

_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fc00::/7", "fe80::/10"),
        "ff00::/8",
    )
)
"""Networks of this machine, of its neighbours and of clouds' metadata, and those that lead to them by translation."""

log = structlog.get_logger(__name__)


class Egress:
    """A server behind a door (`doors.Server`): the proxy, for each command a new one."""

    def __init__(self, hosts: Collection[str], *, port: int = HTTPS, private: Collection[str] = ()) -> None:
        """Allow `hosts`, and hosts below those that begin with a dot, at `port`.

        Hosts that are in `private`, too, may be in a private network: the operator's own mirrors.
        """
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._port = port
        self._private = frozenset(host.lower() for host in private)

    @asynccontextmanager
    async def door(self, socket: Path) -> AsyncIterator[Door]:
        """Serve at a unix socket while this is open."""
        door = Door(PORT, variables())
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  asyncio calls this in a task
            tasks.add(task)
            try:
                await self._serve(door, reader, writer, full=len(tasks) > MOST_CONNECTIONS)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                log.debug("a connection of a set-up ended", cause=repr(error))
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_unix_server(serve, socket, limit=HEAD_BYTES)
        try:
            yield door
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(
        self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, full: bool
    ) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, *_ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        host, port = _parted(target) if method == "CONNECT" else (_host_of(target), 0)
        if full:
            writer.write(_answer(503, "too many connections at once"))
        elif method != "CONNECT":
            _block(door, host)
            writer.write(_answer(403, "only https is let through"))
        elif port != self._port or not self._allows(host):
            _block(door, host if port == HTTPS else f"{host}:{port}")
            writer.write(_answer(403, f"{host} is not one of the hosts that a set-up may reach"))
        else:
            await self._through(door, host, port, reader, writer)
        await writer.drain()

    def _allows(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return name in self._hosts or any(one.startswith(".") and name.endswith(one) for one in self._hosts)

    async def _through(
        self, door: Door, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        addresses = await self._addresses(host, port)
        if not addresses:
            _block(door, host)
            writer.write(_answer(403, f"{host} leads to no address outside of this network"))
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                there, back = await _connected(addresses, port)
        except (OSError, TimeoutError):
            writer.write(_answer(502, f"{host} does not answer"))
            return
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host that a connection may go to."""
        with suppress(OSError):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = dict.fromkeys(str(address[0]) for *_, address in found)
            return [one for one in addresses if host.lower() in self._private or not forbidden(one)]
        return []


class LateEgress:
    """An `Egress` whose hosts are not known yet: a command waits for them, and nothing before it does."""

    def __init__(self, hosts: asyncio.Task[Collection[str]]) -> None:
        self._hosts = hosts

    @asynccontextmanager
    async def door(self, socket: Path) -> AsyncIterator[Door]:
        """Serve at a unix socket while this is open."""
        async with Egress(await asyncio.shield(self._hosts)).door(socket) as door:
            yield door


def forbidden(address: str) -> bool:
    """Return whether no connection may go to an address, IPv4 within IPv6 included."""
    one = ipaddress.ip_address(address.partition("%")[0])
    inner = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    return any((inner or one) in network for network in _FORBIDDEN if network.version == (inner or one).version)


def variables() -> Mapping[str, str]:
    """Return the variables that have programs use the proxy, and trust what this machine trusts."""
    proxy = f"http://127.0.0.1:{PORT}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    java = " ".join(f"-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={PORT}" for scheme in ("http", "https"))
    trust = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
    trusted = dict.fromkeys((*trust, "NODE_EXTRA_CA_CERTS"), str(CERTIFICATES)) if CERTIFICATES.is_file() else {}
    return {
        **dict.fromkeys(names, proxy),
        **trusted,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "npm_config_proxy": proxy,
        "npm_config_https_proxy": proxy,
        "MAVEN_OPTS": java,
        "GRADLE_OPTS": java,
    }


async def _connected(addresses: Sequence[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that answers."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(addresses[-1], port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(COPY_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _parted(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)


def _host_of(target: str) -> str:
    return target.partition("://")[2].partition("/")[0] or target


def _block(door: Door, host: str) -> None:
    shown = "".join(char for char in host[:253] if char.isprintable())
    if len(door.blocked) < MOST_BLOCKED and shown not in door.blocked:
        door.blocked.append(shown)


def _answer(status: int, reason: str) -> bytes:
    body = f"Soulcaster: {reason}.\n"
    return (
        f"HTTP/1.1 {status} Refused\r\nContent-Length: {len(body)}\r\nContent-Type: text/plain\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()
