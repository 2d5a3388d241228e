"""Redis clients: over Redis's own protocol, or over Upstash's REST API if the URL is http or https."""

import asyncio
import math
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import TimeoutError as RedisTimeoutError
from yarl import URL

from soulcaster.adapters.upstash import UpstashConnection

MAX_CONNECTIONS = 50
"""Connections of one client. If all are in use, a command waits for one, as long as for a reply."""


def redis_client(url: str, *, timeout: float, decode: bool = True) -> Redis:
    """Return a client that connects at its first command and never retries.

    Args:
        url: redis://, rediss:// or unix://; or https://:token@host (also http://) for Upstash's REST API.
        timeout: Seconds to wait for a free connection, for a new one, and for a reply.
        decode: Whether replies are text; otherwise they are bytes.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": decode,
        "max_connections": MAX_CONNECTIONS,
        "timeout": timeout,
    }
    if by_rest(url):
        bare = str(URL(url).with_user(None))
        # Its replies have the shapes of Redis's protocol 2.
        token = URL(url).password or ""
        pool = BlockingConnectionPool(
            connection_class=UpstashConnection, url=bare, password=token, protocol=2, **options
        )
    else:
        pool = BlockingConnectionPool.from_url(url, connection_class=_Connection, parser_class=_Parser, **options)
    return Redis.from_pool(pool)


def by_rest(url: str) -> bool:
    """Return whether a URL is that of Upstash's REST API."""
    return url.startswith(("http://", "https://"))


def address(url: str) -> str:
    """Return the URL without user and password, for errors and logs."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://', 1)[0]}://…@{tail}" if at else url


class _Parser(DefaultParser):  # type: ignore[misc, valid-type]  # redis-py chooses it at import
    """Limits the wait for bytes, not the reading of replies: a pipeline has thousands, and many arrive at once."""

    def on_connect(self, connection: Connection) -> None:
        super().on_connect(connection)
        self._seconds = connection.socket_timeout

    async def read_from_socket(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                return bool(await super().read_from_socket())
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer in {self._seconds:g} seconds") from error


class _Connection(Connection):
    """A faster connection: redis-py does in Python, for each command of a pipeline, what this does in C or once."""

    def pack_command(self, *args: Any) -> list[bytes]:
        name = str(args[0])
        words = tuple(name.split()) if " " in name else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  redis-py's own signature
        **options: Any,
    ) -> Any:
        own = math.inf if timeout is None else timeout  # the parser has its own limit
        return await super().read_response(disable_decoding, own, **options)
