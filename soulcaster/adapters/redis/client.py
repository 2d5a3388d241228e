"""One way to a Redis: by its own protocol, or by Upstash's REST API where the URL is one of the web."""

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
"""Of one client; who finds them all at work waits for one, as long as for an answer."""


def redis_client(url: str, *, timeout: float, decode: bool = True) -> Redis:
    """Return a client that connects with its first command and tries nothing twice.

    Args:
        url: redis://, rediss:// or unix://; or https://:token@host, http:// too, of Upstash's REST API.
        timeout: seconds to wait for a connection to be free, for a new one, and for an answer.
        decode: whether answers are text; else they are bytes.
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
        # The shapes of its answers are those of Redis's protocol 2.
        token = URL(url).password or ""
        pool = BlockingConnectionPool(
            connection_class=UpstashConnection, url=bare, password=token, protocol=2, **options
        )
    else:
        pool = BlockingConnectionPool.from_url(url, connection_class=_Connection, parser_class=_Parser, **options)
    return Redis.from_pool(pool)


def by_rest(url: str) -> bool:
    """Tell whether a Redis is reached by Upstash's REST API."""
    return url.startswith(("http://", "https://"))


def address(url: str) -> str:
    """Return what an error or a log may name: the URL without user and password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://', 1)[0]}://…@{tail}" if at else url


class _Parser(DefaultParser):  # type: ignore[misc, valid-type]  # redis-py chooses it as it is imported
    """Times the wait for bytes, not the reading of replies: a pipeline has thousands, which come a hundred at once."""

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
    """A connection that does in C, or once, what redis-py does in Python for each command of a pipeline."""

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
        own = math.inf if timeout is None else timeout  # the parser has a limit of its own
        return await super().read_response(disable_decoding, own, **options)
