"""Redis over Upstash's REST API: a connection for redis-py that posts commands over HTTP.

A pipeline is one request to `/pipeline`, or several if it is long. A transaction is always one request to
`/multi-exec`. Responses are in base64, so any bytes survive. JSON can carry only text, so a binary value is the body of
a separate request, `/SET/{key}?EX=60`: the API has no other way.

https://upstash.com/docs/redis/features/restapi describes the protocol.
"""

import asyncio
import json
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote

import aiohttp
from redis.asyncio.connection import AbstractConnection, DefaultParser  # noqa: TID251  for our own connections
from redis.exceptions import AuthenticationError, DataError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from yarl import URL

from soulcaster.http_client import http_session
from soulcaster.services.threads import away

REQUEST_BYTES = 1_000_000
"""Requests of a pipeline are cut at this size. Upstash accepts ten times as much, for what cannot be cut."""

BINARY_AT_ONCE = 16
"""Requests with binary values under way at the same time."""

_CANNOT_SERVE = (
    "ERR max requests limit exceeded",
    "ERR max daily request limit exceeded",
    "ERR max concurrent connections exceeded",
    "ERR DB capacity quota exceeded",
)
"""The beginnings of Upstash's own errors that mean: the database is reachable but serves nobody now."""


@dataclass(frozen=True, slots=True)
class _Command:
    words: tuple[str | bytes, ...]
    """A word that is not text is bytes."""

    json: bytes | None
    """The command as a JSON array; None if a word is bytes."""


class UpstashConnection(AbstractConnection):
    """A connection for redis-py; `password` is the token. One task uses it at a time."""

    def __init__(self, *, url: str, **kwargs: Any) -> None:
        """Prepare; `url` has no user and no password."""
        super().__init__(**kwargs)
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._replies: deque[Any] = deque()

    def repr_pieces(self) -> list[tuple[str, str]]:
        """Return what `repr` may show: no secrets."""
        return [("url", self._url)]

    # ---- what redis-py expects of a socket -----------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Return whether requests can be made; only a request shows whether Upstash answers."""
        return self._session is not None

    async def connect(self) -> None:
        """Open the HTTP session; REST needs no handshake."""
        await self._connect()

    async def _connect(self) -> None:
        self._opened()

    def _host_error(self) -> str:
        return self._url

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = http_session(
                headers={"Authorization": f"Bearer {self.password}", "Upstash-Encoding": "base64"}
            )
        return self._session

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        """Close the HTTP session and discard unread replies."""
        self.reset_should_reconnect()  # type: ignore[no-untyped-call]
        self._replies.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def can_read(self) -> bool:
        """Return whether there are unread replies."""
        return bool(self._replies)

    # ---- commands and replies ------------------------------------------------------------------------------------

    def pack_command(self, *args: Any) -> list[Any]:
        """Return the command, ready to be sent."""
        words = tuple(self._word(arg) for arg in (*str(args[0]).split(), *args[1:]))
        if any(isinstance(word, bytes) for word in words):
            return [_Command(words, None)]
        return [_Command(words, json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode())]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[Any]:
        """Return the commands, ready to be sent."""
        return [packed for command in commands for packed in self.pack_command(*command)]

    def _word(self, value: Any) -> str | bytes:
        if isinstance(value, str):
            return value
        encoded = bytes(self.encoder.encode(value))  # type: ignore[no-untyped-call]
        try:
            return encoded.decode()
        except UnicodeDecodeError:
            return encoded

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send commands and collect all replies.

        Raises:
            redis.exceptions.ConnectionError: Upstash is unavailable, serves nobody now or does not accept the token, or
                the server is not Upstash.
            redis.exceptions.TimeoutError: a request took longer than the connection's timeout, which is per megabyte.
            redis.exceptions.DataError: the REST API cannot send a binary value of these commands.
        """
        commands: Sequence[_Command] = command
        replies: list[Any] = []
        if commands[0].words == ("MULTI",):
            replies += await self._transaction(commands[1:-1])
        else:
            for some in _portions(commands):
                replies += await (self._pipeline(some) if some[0].json else self._binary(some))
        self._replies.extend(replies)

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  redis-py's own signature
        **options: Any,
    ) -> Any:
        """Return the next reply, or raise it if it is an error."""
        reply = self._replies.popleft()
        if isinstance(reply, ResponseError):
            raise reply
        return reply if disable_decoding else self._decoded(reply)

    def _decoded(self, reply: Any) -> Any:
        if isinstance(reply, list):
            return [self._decoded(one) for one in reply]
        return self.encoder.decode(reply)  # type: ignore[no-untyped-call]

    # ---- requests ------------------------------------------------------------------------------------------------

    async def _pipeline(self, commands: Sequence[_Command]) -> list[Any]:
        answer = await self._post(f"{self._url}/pipeline", _array(commands))
        if self._error(answer) is not None:  # refused as a whole
            return [self._reply(answer) for _ in commands]
        return self._results(answer, len(commands))

    async def _transaction(self, commands: Sequence[_Command]) -> list[Any]:
        """Return the replies that Redis gives to MULTI, to each command, and to EXEC."""
        if any(command.json is None for command in commands):
            raise DataError("Upstash's REST API takes no binary values in a transaction")
        answer = await self._post(f"{self._url}/multi-exec", _array(commands))
        done = self._results(answer, len(commands)) if self._error(answer) is None else self._reply(answer)
        return [*[b"OK"] * (1 + len(commands)), done]

    async def _binary(self, commands: Sequence[_Command]) -> list[Any]:
        requests = [self._with_body(command) for command in commands]
        posted = (self._post(url, body, "application/octet-stream") for url, body in requests)
        answers = await asyncio.gather(*posted, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [self._reply(answer) for answer in answers]

    def _with_body(self, command: _Command) -> tuple[str, bytes]:
        """Return the URL for a command with a binary value, and the value."""
        at = next(n for n, word in enumerate(command.words) if isinstance(word, bytes))
        before, body, after = command.words[:at], command.words[at], command.words[at + 1 :]
        if len(after) % 2 or any(isinstance(word, bytes) for word in after):
            raise DataError(f"Upstash's REST API cannot send this binary value of {command.words[0]!r}")
        path = "/".join(quote(word, safe="") for word in cast(tuple[str, ...], before))
        pairs = [quote(word, safe="") for word in cast(tuple[str, ...], after)]
        query = "&".join(f"{name}={value}" for name, value in zip(pairs[::2], pairs[1::2], strict=True))
        return f"{self._url}/{path}" + (f"?{query}" if query else ""), cast(bytes, body)

    async def _post(self, url: str, body: bytes, content_type: str = "application/json") -> Any:
        """Return the JSON of the response."""
        # A request that could not be cut gets as much time as if it had been.
        seconds = cast(float, self.socket_timeout) * (1 + len(body) // REQUEST_BYTES)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self.socket_connect_timeout)
        try:
            async with self._opened().post(
                URL(url, encoded=True),
                data=BytesIO(body),  # aiohttp sends it in chunks
                headers={"Content-Type": content_type},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                text = await response.read()
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer in {seconds:g} seconds") from error
        except aiohttp.ClientError as error:
            raise RedisConnectionError(str(error)) from error
        try:
            answer = await away(len(text), lambda: json.loads(text))
        except ValueError:
            answer = None
        if response.status == 401:
            raise AuthenticationError(f"the token is not taken ({self._error(answer)})")
        if response.status not in {200, 400} or (response.status == 400 and self._error(answer) is None):
            raise RedisConnectionError(f"answers {response.status}, but not as Upstash does")
        return answer

    def _results(self, answers: Any, commands: int) -> list[Any]:
        if not isinstance(answers, list) or len(answers) != commands:
            raise RedisConnectionError(f"answers, but not to the {commands} commands that were sent")
        return [self._reply(answer) for answer in answers]

    def _reply(self, answer: Any) -> Any:
        """Return the reply to one command, with strings as bytes, or a ResponseError."""
        text = self._error(answer)
        if text is None:
            try:
                return _bytes(answer["result"])
            except (TypeError, LookupError, ValueError):
                raise RedisConnectionError("answers, but not as Upstash does") from None
        if text.startswith(_CANNOT_SERVE):
            raise RedisConnectionError(text)
        error = DefaultParser.parse_error(text)  # type: ignore[no-untyped-call]
        if isinstance(error, ResponseError):
            return error
        raise error

    def _error(self, answer: Any) -> str | None:
        """Return the text of an error, without the token; None if the answer is not an error."""
        if not isinstance(answer, dict) or not isinstance(answer.get("error"), str):
            return None
        return str(answer["error"]).replace(cast(str, self.password), "…")


def _bytes(result: Any) -> Any:
    """Return a result as Redis gives it; in the JSON, all strings but OK are base64.

    Raises:
        ValueError: a string is not base64.
    """
    if isinstance(result, list):
        return [_bytes(one) for one in result]
    if isinstance(result, str):
        return b"OK" if result == "OK" else b64decode(result, validate=True)
    return result


def _portions(commands: Iterable[_Command]) -> Iterator[list[_Command]]:
    """Yield runs of commands: text commands that fit into one request, or binary ones with different keys."""
    portion: list[_Command] = []
    size = 0
    for command in commands:
        if portion and not _fits(command, portion, size):
            yield portion
            portion, size = [], 0
        portion.append(command)
        size += len(command.json or b"") + 1
    yield portion


def _fits(command: _Command, portion: Sequence[_Command], size: int) -> bool:
    if command.json is not None:
        return portion[0].json is not None and size + len(command.json) <= REQUEST_BYTES
    return (
        portion[0].json is None
        and len(portion) < BINARY_AT_ONCE
        and all(command.words[1] != other.words[1] for other in portion)
    )


def _array(commands: Iterable[_Command]) -> bytes:
    return b"[" + b",".join(cast(bytes, command.json) for command in commands) + b"]"
