"""A registry that redirects leads a package manager nowhere that a set-up may not reach; real ones ask it here."""

import asyncio
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from soulcaster.fixer.sandbox.egress import Egress
from tests.support.certificates import Authority, Issued

SECONDS = 60.0


class Registry:
    """A registry of our own, over TLS, that redirects every request; `asked` are the paths."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.leads_to = ""
        self.port = 0

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return web.Response(status=302, headers={"Location": self.leads_to})

    @asynccontextmanager
    async def serve(self, issued: Issued) -> AsyncIterator[None]:
        """Serve on loopback."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(issued.both)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._redirect)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            self.port = runner.addresses[0][1]
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _on_loopback(socket: Path) -> AsyncIterator[int]:
    """Let programs outside of a sandbox use a door at a unix socket; yield the port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(socket)
        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _pip(registry: str, proxy: str, authority: Path) -> Sequence[str]:
    asked = ("download", "--no-deps", "--no-cache-dir", "--retries", "0", "--index-url", f"{registry}simple", "thing")
    return (sys.executable, "-m", "pip", "--isolated", "--proxy", proxy, "--cert", str(authority), *asked)


def _npm(registry: str, proxy: str, authority: Path) -> Sequence[str]:
    options = (f"--registry={registry}", f"--https-proxy={proxy}", f"--proxy={proxy}", f"--cafile={authority}")
    return (shutil.which("npm") or "npm", "view", "thing", *options, "--fetch-retries=0", "--noproxy=")


@pytest.mark.parametrize("client", [_pip, _npm])
@pytest.mark.parametrize(
    ("leads_to", "blocked"),
    [
        ("https://evil.example/thing", "evil.example"),
        ("https://evil.example:{port}/thing", "evil.example:{port}"),
        ("https://127.0.0.1/thing", "127.0.0.1"),
        ("https://localhost:1/thing", "localhost:1"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
    ],
)
async def test_a_redirect_of_a_registry_leads_nowhere_else(
    tmp_path: Path, client: Callable[[str, str, Path], Sequence[str]], leads_to: str, blocked: str
) -> None:
    if client is _npm and shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    authority, registry = Authority(tmp_path / "certificates"), Registry()
    async with registry.serve(authority.issue("registry")):
        registry.leads_to = leads_to.format(port=registry.port)
        egress = Egress(["localhost"], port=registry.port, private=["localhost"])
        async with egress.door(tmp_path / "door") as door, _on_loopback(tmp_path / "door") as port:
            command = client(f"https://localhost:{registry.port}/", f"http://127.0.0.1:{port}", authority.file)
            env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            quiet = asyncio.subprocess.DEVNULL
            asking = await asyncio.create_subprocess_exec(*command, env=env, cwd=tmp_path, stdout=quiet, stderr=quiet)
            async with asyncio.timeout(SECONDS):
                assert await asking.wait() != 0
    assert registry.asked
    assert [host.removesuffix(":80") for host in door.blocked] == [blocked.format(port=registry.port)]
