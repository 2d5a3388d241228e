"""An E2B on loopback: its REST API and envd, as far as the SDK is used, with the faults that tests want.

Written after the API's server (github.com/e2b-dev/infra, packages/api: paths, bodies, texts of errors, the pages of a
list, what is recorded under an idempotency key) and its proxy (packages/shared/pkg/proxy: what it answers for a sandbox
that is gone). Every sandbox has the same address; the proxy knows them by the header E2b-Sandbox-Id, as E2B's does.
"""

import asyncio
import itertools
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.adapters.e2b import E2bSandboxes
from tests.support.e2b_sandbox import E2bSandbox, streamed, streaming_request

KEY = "e2b_0123456789abcdef0123456789abcdef01234567"

Handler = Callable[[web.Request], Awaitable[web.Response]]

Call = Literal["list", "create", "info", "connect", "timeout", "remove", "health", "run"]


@dataclass(frozen=True)
class Fault:
    """What happens to a request: it is lost before it arrives, or its answer is, or a gateway answers."""

    kind: Literal["request lost", "answer lost", "answered"]
    status: int = 0
    body: str = ""


@dataclass
class _Record:
    """What an idempotency key came with, and what was answered."""

    body: Any
    answer: tuple[int, dict[str, Any]] | None = None


@dataclass
class E2bServer:
    """`folder` holds the folders of the sandboxes."""

    folder: Path
    has_idempotency: bool = True
    """False is a server that is older than idempotency keys, and ignores them."""
    templates: frozenset[str] = frozenset({"base", "kilo"})
    foreign_templates: frozenset[str] = frozenset({"foreign"})
    most_sandboxes: int = 20
    most_hours: int = 24
    page: int = 100
    is_away: bool = False
    """While it is, no request arrives."""
    faults: dict[Call, deque[Fault]] = field(default_factory=dict)
    """What happens to the next requests of each kind."""
    failures: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    """What the next creations end in; recorded under their idempotency keys."""
    creations: list[asyncio.Event] = field(default_factory=list)
    """What the next creations wait for, after they have begun."""
    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], Awaitable[None]] | None = None
    """Is called before each request is served."""
    sandboxes: dict[str, E2bSandbox] = field(default_factory=dict)
    """Those that exist."""
    all_sandboxes: list[E2bSandbox] = field(default_factory=list)
    """Those that ever existed, too."""
    created_with: list[dict[str, Any]] = field(default_factory=list)
    _records: dict[str, _Record] = field(default_factory=dict)
    _ids: Any = field(default_factory=itertools.count)

    async def __aenter__(self) -> Self:
        app = web.Application()
        routes: list[tuple[str, str, Call, Handler]] = [
            ("GET", "/v2/sandboxes", "list", self._list),
            ("POST", "/v2/sandboxes", "create", self._create),
            ("GET", "/sandboxes/{id}", "info", self._info),
            ("POST", "/v2/sandboxes/{id}/connect", "connect", self._connect),
            ("POST", "/sandboxes/{id}/timeout", "timeout", self._set_timeout),
            ("DELETE", "/sandboxes/{id}", "remove", self._remove),
            ("GET", "/health", "health", self._health),
            ("POST", "/process.Process/Start", "run", self._run),
        ]
        for method, path, call, handler in routes:
            app.router.add_route(method, path, self._served(call, handler))
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(shutdown_timeout=0.1)
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        for sandbox in self.all_sandboxes:
            sandbox.kill()
        await self._server.close()

    def client(self, key: str = KEY, template: str = "base") -> E2bSandboxes:
        """Return another client, as another process has it."""
        return E2bSandboxes(key, template, api_url=self.url, sandbox_url=self.url)

    def lose_request(self, call: Call) -> None:
        self.faults.setdefault(call, deque()).append(Fault("request lost"))

    def lose_answer(self, call: Call) -> None:
        self.faults.setdefault(call, deque()).append(Fault("answer lost"))

    def answer(self, call: Call, status: int, body: str = "") -> None:
        """Let a gateway or a limiter answer the next request of this kind."""
        self.faults.setdefault(call, deque()).append(Fault("answered", status, body))

    def of(self, key: str) -> list[E2bSandbox]:
        """Return the sandboxes that a launch ever had."""
        return [sandbox for sandbox in self.all_sandboxes if key in sandbox.metadata.values()]

    def add(self, key: str) -> E2bSandbox:
        """Create a sandbox of a launch behind everybody's back."""
        sandbox = self._begin({"soulcaster-launch": key}, 3_600)
        return self._show(sandbox)

    def drop(self, sandbox: E2bSandbox) -> None:
        """Remove a sandbox, as its time to live does."""
        del self.sandboxes[sandbox.id]
        sandbox.kill()

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _served(self, call: Call, handler: Handler) -> Handler:
        async def serve(request: web.Request) -> web.Response:
            self.calls.append(call)
            if self.before is not None:
                await self.before(call)
            waiting = self.faults.get(call)
            fault = waiting.popleft() if waiting else None
            if self.is_away or (fault is not None and fault.kind == "request lost"):
                return _cut(request)
            if fault is None:
                return await handler(request)
            if fault.kind == "answered":
                return web.Response(status=fault.status, text=fault.body, content_type="application/json")
            await handler(request)
            return _cut(request)

        return serve

    # ---- the REST API ------------------------------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-Key") != KEY:
            return _unauthorized()
        wanted = {unquote(name): unquote(value) for name, value in parse_qsl(request.query.get("metadata", ""))}
        newest_first = request.query.get("order", "desc") == "desc"
        found = sorted(
            (one for one in self.sandboxes.values() if wanted.items() <= one.metadata.items()),
            key=lambda one: (one.started_at, one.id),
            reverse=newest_first,
        )
        begin = int(request.query.get("nextToken", "0"))
        end = begin + min(self.page, int(request.query.get("limit", "100")))
        more = {"X-Next-Token": str(end)} if end < len(found) else {}
        return web.json_response([one.listed() for one in found[begin:end]], headers=more)

    async def _create(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-Key") != KEY:
            return _unauthorized()
        body = await request.json()
        key = request.headers.get("Idempotency-Key")
        if key is None or not self.has_idempotency:
            return _answered(*await self._creation(body))
        if not re.fullmatch("[a-z0-9]{1,255}", key):
            return _problem(400, "Idempotency-Key must contain one value of 1 to 255 lowercase ASCII letters or digits")
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record(body)
            record.answer = await self._creation(body)
        elif record.body != body:
            return _problem(409, "Idempotency-Key was already used with a different request")
        elif record.answer is None:
            return _problem(
                409,
                "The original request has not recorded a response yet. Retry with the same Idempotency-Key.",
            )
        return _answered(*record.answer)

    async def _creation(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.created_with.append(body)
        if self.failures:
            return self.failures.popleft()
        template = body["templateID"]
        if template in self.foreign_templates:
            return 403, {"code": 403, "message": f"you don't have access to template '{template}'"}
        if template not in self.templates:
            return 404, {"code": 404, "message": f"template '{template}' not found"}
        if body["timeout"] > self.most_hours * 3_600:
            return 400, {"code": 400, "message": f"Timeout cannot be greater than {self.most_hours} hours"}
        if len(self.sandboxes) >= self.most_sandboxes:
            text = f"you have reached the maximum number of concurrent E2B sandboxes ({self.most_sandboxes})."
            return 429, {
                "code": 429,
                "message": f"{text} If you need more, please visit 'https://e2b.dev/docs/billing'",
            }
        sandbox = self._begin(body["metadata"], body["timeout"])
        if self.creations:
            await self.creations.pop(0).wait()
        return 201, self._show(sandbox).created()

    def _begin(self, metadata: dict[str, str], seconds: int) -> E2bSandbox:
        sandbox_id = f"i{next(self._ids):019}"
        folder = self.folder / sandbox_id
        folder.mkdir()
        return E2bSandbox(sandbox_id, folder, metadata, seconds)

    def _show(self, sandbox: E2bSandbox) -> E2bSandbox:
        self.sandboxes[sandbox.id] = sandbox
        self.all_sandboxes.append(sandbox)
        return sandbox

    async def _info(self, request: web.Request) -> web.Response:
        sandbox = self.sandboxes.get(request.match_info["id"])
        return _missing(request) if sandbox is None else web.json_response(sandbox.listed())

    async def _connect(self, request: web.Request) -> web.Response:
        sandbox = self.sandboxes.get(request.match_info["id"])
        if sandbox is None:
            return _missing(request)
        sandbox.state = "running"
        sandbox.seconds = max(sandbox.seconds, (await request.json())["timeout"])
        return web.json_response(sandbox.created())

    async def _set_timeout(self, request: web.Request) -> web.Response:
        sandbox = self.sandboxes.get(request.match_info["id"])
        if sandbox is None:
            return _missing(request)
        sandbox.seconds = (await request.json())["timeout"]
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-Key") != KEY:
            return _unauthorized()
        sandbox = self.sandboxes.get(request.match_info["id"])
        if sandbox is None:
            return _missing(request)
        self.drop(sandbox)
        return web.Response(status=204)

    # ---- envd, behind E2B's proxy ------------------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.Response:
        sandbox = self._addressed(request)
        return _not_running(request) if sandbox is None else web.Response(status=204)

    async def _run(self, request: web.Request) -> web.Response:
        sandbox = self._addressed(request)
        if sandbox is None:
            return _not_running(request)
        if request.headers.get("X-Access-Token") != sandbox.token:
            return _problem(401, "unauthorized access, please provide a valid access token")
        events = await sandbox.run(await streaming_request(request), request.headers.get("Connect-Timeout-Ms"))
        return streamed(events)

    def _addressed(self, request: web.Request) -> E2bSandbox | None:
        sandbox = self.sandboxes.get(request.headers["E2b-Sandbox-Id"])
        return sandbox if sandbox is not None and sandbox.state == "running" else None


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _answered(status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status)


def _problem(status: int, message: str) -> web.Response:
    return _answered(status, {"code": status, "message": message})


def _unauthorized() -> web.Response:
    return _problem(401, "Invalid API key")


def _missing(request: web.Request) -> web.Response:
    return _problem(404, f"Sandbox {request.match_info['id']} not found")


def _not_running(request: web.Request) -> web.Response:
    sandbox_id = request.headers["E2b-Sandbox-Id"]
    return _answered(502, {"sandboxId": sandbox_id, "message": "The sandbox was not found", "code": 502})
