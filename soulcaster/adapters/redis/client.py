"""Redis clients: over Redis's own protocol, or over Upstash's REST API if the URL is http or https."""

import asyncio
import math
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Connection, Redis  # noqa: TID251  for our own connections
from redis.asyncio.connection import DefaultParser, parse_url  # noqa: TID251  for our own connections
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from yarl import URL

from soulcaster.adapters.upstash import UpstashConnection

MAX_CONNECTIONS = 50
"""Connections of one client. If all are in use, a command waits for one, as long as for a reply."""

PROTOCOL = 2
"""The version of Redis's protocol: Upstash's REST API has the shapes of this one, and redis-py turns scores of a newer
one into text and back, a fifth of the time of a search."""

READ_AT_ONCE = 500
"""Replies, and entries of lists among them, that are read in one go; then whoever else is served has a turn."""


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """How Redis is reached.

    `url` is redis://, rediss:// or unix://, with user and password where Redis wants them; or https://:token@host (also
    http://) for Upstash's REST API. `tls` is for rediss://.
    """

    url: str = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.url.startswith("rediss:") != (self.tls is not None):
            raise ValueError("rediss:// and nothing else has TLS")

    @property
    def by_rest(self) -> bool:
        """Whether Redis is reached by Upstash's REST API."""
        return self.url.startswith(("http://", "https://"))

    @property
    def address(self) -> str:
        """The URL without user and password, for errors and logs."""
        head, at, tail = self.url.rpartition("@")
        return f"{head.split('://', 1)[0]}://…@{tail}" if at else self.url


def redis_client(access: RedisAccess, *, timeout: float, decode: bool = True) -> Redis:
    """Return a client that connects at its first command and never retries.

    Args:
        access: how Redis is reached.
        timeout: Seconds to wait for a free connection, for a new one, and for a reply.
        decode: Whether replies are text; otherwise they are bytes.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": decode,
        "max_connections": MAX_CONNECTIONS,
        "timeout": timeout,
        "protocol": PROTOCOL,
    }
    if access.by_rest:
        bare = str(URL(access.url).with_user(None))
        token = URL(access.url).password or ""
        pool = BlockingConnectionPool(connection_class=UpstashConnection, url=bare, password=token, **options)
    else:
        options |= {"connection_class": _Connection, "parser_class": _Parser, **parse_url(access.url)}
        if access.tls is not None:
            options |= {"connection_class": _TlsConnection, "tls": access.tls}
        pool = BlockingConnectionPool(**options)
    return Redis.from_pool(pool)


class _Parser(DefaultParser):  # type: ignore[misc, valid-type]  # redis-py chooses it at import
    """Limits the wait for bytes, not the reading of replies: a pipeline has thousands, and many arrive at once."""

    def on_connect(self, connection: "_Connection") -> None:
        super().on_connect(connection)
        self._seconds = connection.seconds

    async def read_from_socket(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                return bool(await super().read_from_socket())
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer in {self._seconds:g} seconds") from error


class NotGreeted(RedisConnectionError):
    """Redis ended the connection before it had answered the first command of all."""


class _Connection(Connection):
    """A faster connection: redis-py does in Python, for each command of a pipeline, what this does in C or once.

    The replies to a pipeline arrive together, and reading them would hold up the event loop.

    redis-py limits the sending of commands by `asyncio.wait_for`, which drops a cancellation that comes as the sending
    ends (https://github.com/python/cpython/issues/86296, until Python 3.12). This class limits it by `asyncio.timeout`,
    so a task that is cancelled ends.
    """

    _read = 0

    def __init__(self, *, socket_timeout: float, **options: Any) -> None:
        super().__init__(socket_timeout=None, **options)
        self.seconds = socket_timeout

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        try:
            await super().on_connect_check_health(check_health)
        except RedisConnectionError as error:
            if type(error) is RedisConnectionError:  # others say more, such as that Redis knows no such user
                raise NotGreeted(str(error)) from error
            raise

    def pack_command(self, *args: Any) -> list[bytes]:
        name = str(args[0])
        words = tuple(name.split()) if " " in name else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await super().send_packed_command(command, check_health)
        except TimeoutError as error:
            raise RedisTimeoutError(f"not sent in {self.seconds:g} seconds") from error

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  redis-py's own signature
        **options: Any,
    ) -> Any:
        own = math.inf if timeout is None else timeout  # the parser has its own limit
        reply = await super().read_response(disable_decoding, own, **options)
        self._read += len(reply) if isinstance(reply, list) else 1
        if self._read >= READ_AT_ONCE:
            self._read = 0
            await asyncio.sleep(0)
        return reply


class _TlsConnection(_Connection):
    """The same over TLS."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}
