"""A GitHub of the tests' own: its web server for git and the part of its API that Soulcaster uses, on one port.

Branches are real: they are those of a `GitServer`. Every call is recorded and may be made to fail. With `described`,
calls and answers are checked against GitHub's own description; the block ends with the first that is not as described.

The addresses are those of a GitHub Enterprise Server: `git_url` is the server, `api_url` is `/api/v3` on it.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.github_api import GitHubApi, Handler, Refused, error
from tests.support.github_description import Description, Undescribed, description_or_skip
from tests.support.github_state import Hub


@dataclass(frozen=True)
class Call:
    """A call of the API: the path as GitHub's description names it, as it was, and what was answered."""

    method: str
    operation: str
    path: str
    status: int
    body: Any
    token: str | None


@dataclass
class Fault:
    """How a call fails: answered so without being carried out, or with `lost`, carried out and never answered."""

    status: int = 500
    message: str = "Server Error"
    headers: dict[str, str] = field(default_factory=dict)
    errors: list[dict[str, str]] = field(default_factory=list)
    lost: bool = False


@dataclass
class GitHubServer(Hub):
    """The server. Tests set it up by the methods of `Hub`."""

    described: bool = False
    calls: list[Call] = field(default_factory=list)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    """How the next calls of an operation fail, by method and the end of its path: ("POST", "/pulls")."""

    fault_at: dict[int, Fault] = field(default_factory=dict)
    """How the call with this number fails; the first is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._api = GitHubApi(self)
        self._description: Description | None = None
        self._problems: list[Undescribed] = []

    async def __aenter__(self) -> Self:
        if self.described:
            self._description = description_or_skip()
        app = web.Application(client_max_size=2**30)
        for method, operation, handler in self._api.operations():
            path = re.sub(r"\{(ref|branch)\}", r"{\1:.+}", operation)
            app.router.add_route(method, f"/api/v3{path}", self._served(operation, handler))
        app.router.add_post("/api/graphql", self._served("/graphql", self._api.graphql))
        self.git.add_routes(app)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        self.git_url = str(self._server.make_url("")).rstrip("/")
        self.api_url = f"{self.git_url}/api/v3"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        await self._server.close()
        if self._problems and kind is None:
            raise self._problems[0]

    def _served(self, operation: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            token = request.headers.get("Authorization", "").partition(" ")[2] or None
            asked = await request.json() if request.can_read_body else None
            fault = self._fault(request.method, operation)
            headers: dict[str, str] = {}
            if fault is not None and not fault.lost:
                status, answer = fault.status, error(fault.status, fault.message, fault.errors)
                headers = fault.headers
            else:
                status, answer = await self._answer(request, token, handler, asked)
            self.calls.append(Call(request.method, operation, request.path, status, asked, token))
            if fault is None and self._description is not None and operation != "/graphql":
                try:
                    self._description.check(request.method, operation, asked, status, answer)
                except Undescribed as problem:
                    self._problems.append(problem)
            if status == 301:
                headers = {"Location": answer["url"]}
            if fault is not None and fault.lost:
                assert request.transport is not None
                request.transport.abort()
            if status == 204:
                return web.Response(status=204)
            return web.json_response(answer, status=status, headers=headers)

        return serve

    async def _answer(self, request: web.Request, token: str | None, handler: Handler, asked: Any) -> tuple[int, Any]:
        if token is not None and token not in self.accounts:
            return 401, error(401, "Bad credentials")
        try:
            return await handler(request, self.accounts.get(token or ""), asked)
        except Refused as refusal:
            return refusal.status, error(refusal.status, refusal.message, refusal.errors)

    def _fault(self, method: str, operation: str) -> Fault | None:
        if (fault := self.fault_at.pop(len(self.calls), None)) is not None:
            return fault
        for (of, end), faults in self.faults.items():
            if of == method and operation.endswith(end) and faults:
                return faults.pop(0)
        return None
