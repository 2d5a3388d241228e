"""Redis by TLS with users: what lets us in, and why we are kept out."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.redis.sign_in_tokens import RedisSignIn
from soulcaster.errors import RedisRefuses, RedisUnavailable
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings
from tests.conftest import RedisServer
from tests.support.certificates import Authority
from tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.xdist_group(__name__)

USER, PASSWORD = "soulcaster", "the-tests-password"


class SecuredRedis:
    """Ports of one Redis: `clear`, by `tls`, with a certificate of the client (`mutual`), with an `expired` one."""

    def __init__(self, folder: Path, clear: int, stack: ExitStack) -> None:
        self.authority = Authority(folder / "authority")
        self.stranger = Authority(folder / "stranger")
        self.client = self.authority.issue("client")
        good, old = self.authority.issue("redis"), self.authority.issue("expired", valid=timedelta(days=-1))
        proxies = {
            "tls": TlsProxy(clear, good),
            "mutual": TlsProxy(clear, good, clients=self.authority.file),
            "expired": TlsProxy(clear, old),
        }
        self.ports = {"clear": clear} | {name: stack.enter_context(proxy).port for name, proxy in proxies.items()}

    def settings(self, port: str, scheme: str = "rediss", user: str = f"{USER}:{PASSWORD}@", **given: str) -> Settings:
        """Return settings to reach a port; their values may name files of ours."""
        files = {"redis_ca_file": "{0.authority.file}", **given} if scheme == "rediss" else given
        values: dict[str, Any] = {name: value.format(self) for name, value in files.items()}
        return Settings(redis_url=f"{scheme}://{user}127.0.0.1:{self.ports[port]}/0", **values)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRedis]:
    folder = tmp_path_factory.mktemp("secured-redis")
    server = RedisServer(folder)
    with Redis(port=server.port) as redis:
        redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
        redis.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+@read", "+@connection")
        redis.execute_command("ACL", "SETUSER", "default", "off")
    with ExitStack() as stack:
        yield SecuredRedis(folder, server.port, stack)
    server.kill()


OURS = {"redis_certificate_file": "{0.client.certificate}", "redis_key_file": "{0.client.key}"}


@pytest.mark.parametrize(("port", "given"), [("tls", {}), ("mutual", OURS)])
async def test_in(secured: SecuredRedis, port: str, given: Mapping[str, str]) -> None:
    access = redis_access(secured.settings(port, **given))
    model, sign_in = RedisReadModel(access, notices=True), RedisSignIn(access)
    async with asyncio.timeout(60):
        await sign_in.offer("token", "user", seconds=60)
        assert await sign_in.consume("token") == "user"
        assert (await model.projects.stats("project")).total_feedback == 0
        assert await model.notices.after({"project": "0-0"}, limit=1) == {}
        await asyncio.gather(*(model.store.ping() for _ in range(20)))  # several connections at once
    await sign_in.close()
    await model.close()


@pytest.mark.parametrize(
    ("port", "given", "words"),
    [
        ("tls", {"user": f"{USER}:wrong@"}, "does not let us in with this user and password .invalid user"),
        ("tls", {"user": ""}, "does not let us in with this user and password"),
        ("tls", {"user": f"reader:{PASSWORD}@"}, "forbids this .this user has no permissions to run the 'set' command"),
        ("tls", {"redis_ca_file": "{0.stranger.file}"}, "certificate that cannot be trusted .unable to get local"),
        ("expired", {}, "certificate that cannot be trusted .certificate has expired"),
        ("mutual", {}, "certificate of us"),
        ("tls", {"scheme": "redis"}, "closed the connection at once; perhaps it wants TLS"),
    ],
)  # fmt: skip
async def test_kept_out_with_the_reason(secured: SecuredRedis, port: str, given: Mapping[str, str], words: str) -> None:
    access = redis_access(secured.settings(port, **given))
    connection, sign_in = RedisConnection(access), RedisSignIn(access)
    async with asyncio.timeout(60):
        with pytest.raises(RedisRefuses, match=words) as raised:
            async with connection.commands() as redis:
                await redis.set("key", "value of somebody")
        with pytest.raises(RedisRefuses, match=words):
            await sign_in.offer("token", "user", seconds=60)
    assert PASSWORD not in str(raised.value)
    assert "somebody" not in str(raised.value)
    await connection.close()
    await sign_in.close()


async def test_tls_to_a_port_without_it_ends(secured: SecuredRedis) -> None:
    sign_in = RedisSignIn(redis_access(secured.settings("clear")))
    async with asyncio.timeout(60):
        with pytest.raises(RedisUnavailable, match="does not answer"):
            await sign_in.consume("token")
    await sign_in.close()
