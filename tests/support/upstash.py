"""An Upstash on loopback: it speaks the REST API over a real Redis, and does what tests want of it.

https://upstash.com/docs/redis/features/restapi has the protocol.
"""

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import hiredis
from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "AXfake_the-token/of+the tests=="  # noqa: S105
MAX_BYTES = 10_000_000
BAD_GATEWAY = (502, "<html><body>Bad gateway</body></html>")


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes

    @property
    def commands(self) -> list[list[str]]:
        found: list[list[str]] = json.loads(self.body)
        return found


class Upstash:
    """Runs in a thread of its own, so that tests that are no coroutines can use it, too."""

    def __init__(self, redis_port: int) -> None:
        self._redis_port = redis_port
        self.answers: list[tuple[int, str]] = []
        """What it answers first, status and body (or where else to ask), one a request; after these as it should."""
        self.delay = 0.0
        self.requests: list[Request] = []
        self.at_once = 0
        self.most_at_once = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/{path:.*}", self._serve)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(shutdown_timeout=0.1)
        self.rest_url = str(self._server.make_url("")).rstrip("/")
        self.url = str(self._server.make_url("").with_password(TOKEN))

    async def _serve(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return error("ERR max request size exceeded")
        self.requests.append(Request(request.raw_path, body))
        if self.answers:
            status, text = self.answers.pop(0)
            if 300 <= status < 400:
                return web.Response(status=status, headers={"Location": text})
            return web.Response(status=status, text=text, content_type="text/html")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error("WRONGPASS invalid or missing auth token", status=401)
        base64 = request.headers.get("Upstash-Encoding") == "base64"
        path = request.rel_url.raw_path
        try:
            if path in {"/pipeline", "/multi-exec"}:
                commands = [[of_json(word) for word in command] for command in json.loads(body)]
                if not commands or not all(commands):
                    return error("ERR empty pipeline request")
            else:
                words = [unquote(word).encode() for word in path.strip("/").split("/")]
                pairs = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
                commands = [[*words, body, *(word.encode() for pair in pairs for word in pair)]]
        except (ValueError, TypeError):
            return error("ERR failed to parse request body")
        try:
            if path == "/multi-exec":
                queued = await self._redis([b"MULTI"], *commands, [b"EXEC"])
                for one in queued:
                    if isinstance(one, hiredis.ReplyError):
                        return error(str(one))
                return web.json_response([of_redis(one, base64=base64) for one in queued[-1]])
            replies = [of_redis(one, base64=base64) for one in await self._redis(*commands)]
        except (OSError, asyncio.IncompleteReadError):
            return web.Response(status=BAD_GATEWAY[0], text=BAD_GATEWAY[1], content_type="text/html")
        if path == "/pipeline":
            return web.json_response(replies)
        return web.json_response(replies[0], status=400 if "error" in replies[0] else 200)

    async def _redis(self, *commands: Sequence[bytes]) -> list[Any]:
        """Return what Redis answers, errors too."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._redis_port)
        try:
            writer.write(b"".join(hiredis.pack_command(tuple(command)) for command in commands))  # type: ignore[arg-type]
            parser = hiredis.Reader()
            replies: list[Any] = []
            while len(replies) < len(commands):
                reply = parser.gets()
                if reply is not False:
                    replies.append(reply)
                elif some := await reader.read(1_000_000):
                    parser.feed(some)
                else:
                    raise ConnectionResetError
            return replies
        finally:
            writer.close()


def of_json(word: Any) -> bytes:
    if isinstance(word, bool) or not isinstance(word, str | int | float):
        raise TypeError(word)
    return str(word).encode()


def of_redis(reply: Any, *, base64: bool) -> dict[str, Any]:
    if isinstance(reply, hiredis.ReplyError):
        return {"error": str(reply)}
    return {"result": _value(reply, base64=base64)}


def _value(reply: Any, *, base64: bool) -> Any:
    if isinstance(reply, list):
        return [_value(one, base64=base64) for one in reply]
    if not isinstance(reply, bytes):
        return reply
    if not base64:
        return reply.decode(errors="replace")
    return "OK" if reply == b"OK" else b64encode(reply).decode()


def error(text: str, *, status: int = 400) -> web.Response:
    return web.json_response({"error": text}, status=status)
