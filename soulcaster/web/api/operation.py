"""One definition of an operation: its route, what it takes and what it responds. Routing and OpenAPI derive from it.

A handler's parameters say what the operation takes: `query` and `body` are models, any other is an id in the path. A
`body` that may be None may be left out.
Input that does not fit them is refused before the handler runs. `openapi.document` describes the same models.
"""

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from soulcaster.web.bodies import read_json
from soulcaster.web.caller import CALLER, NEEDED, Caller, Needed, identify
from soulcaster.web.parameters import PROJECT, path_id, read_query
from soulcaster.web.signatures import identify_sender
from soulcaster.web.turns import turn_of

Handler = Callable[..., Awaitable[web.StreamResponse]]

ResponseModel = type[BaseModel] | tuple[type[BaseModel]]
"""The model of a response; a tuple of one model means a bare list of it."""

_IN_PATH = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one path of the API.

    `scope` is the scope that an API key needs, "local" where only the local owner may call, None where anybody may.
    `responses` holds the model of each success status, `problems` the error statuses beyond those that any operation
    may have. `idempotent` means that it takes an Idempotency-Key, `takes_github_token` that it takes a GitHub token,
    `redirects` that it may redirect a browser. `streams` means that it responds with Server-Sent Events, whose data has
    the model in `responses`. `events` is the model of the data of the Server-Sent Events that it responds with to a
    caller that asks for them. `job_tokens` means that the program of the job in the path may call it. `signed` names
    the source whose signed webhooks it accepts without an API key; its handler reads the body.
    """

    method: str
    path: str
    handler: Handler
    responses: Mapping[int, ResponseModel]
    scope: Needed | None
    problems: tuple[int, ...]
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    body_required: bool
    idempotent: bool
    takes_github_token: bool
    redirects: bool
    streams: bool
    events: type[BaseModel] | None
    job_tokens: bool
    signed: str | None

    @property
    def id(self) -> str:
        """Return the OpenAPI operation id, as "merge_clusters": the name of the handler."""
        return self.handler.__name__

    @property
    def tag(self) -> str:
        """Return the resource it belongs to: the name of its handler's package."""
        return self._package.rsplit(".", 1)[1]

    @property
    def tag_description(self) -> str:
        """Return what the resource is: the docstring of its package."""
        return inspect.getdoc(sys.modules[self._package]) or ""

    @property
    def description(self) -> str:
        """Return what it does: the docstring of its handler."""
        return inspect.getdoc(self.handler) or ""

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Return the names of the ids in its path."""
        return tuple(_IN_PATH.findall(self.path))

    @property
    def _package(self) -> str:
        return self.handler.__module__.rsplit(".", 1)[0]

    def route(self) -> web.RouteDef:
        """Return its aiohttp route."""
        if self.method == "GET":
            return web.get(self.path, self._handle, name=self.id)  # also routes HEAD
        return web.route(self.method, self.path, self._handle, name=self.id)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        project_id = request.query.get(PROJECT) or None
        if self.scope is None:
            return await self._answer(request, project_id)
        request[NEEDED] = self.scope
        request[CALLER] = caller = await self._caller(request, self.scope)
        in_path = caller.project(request.match_info.get(PROJECT))
        project_id = caller.project(project_id)
        async with turn_of(request, project_id or in_path or caller.name):
            return await self._answer(request, project_id)

    async def _answer(self, request: web.Request, project_id: str | None) -> web.StreamResponse:
        arguments: dict[str, Any] = {name: path_id(request, name) for name in self.path_parameters}
        if self.query is not None:
            arguments["query"] = read_query(request, self.query, project_id=project_id)
        if self.body is not None:
            left_out = not self.body_required and not request.can_read_body
            arguments["body"] = None if left_out else await read_json(request, self.body)
        return await self.handler(request, **arguments)

    async def _caller(self, request: web.Request, scope: Needed) -> Caller:
        if self.signed is None:
            return await identify(request, scope, job_tokens=self.job_tokens)
        return await identify_sender(request, self.signed, scope)


def operation(
    method: str,
    path: str,
    responses: Mapping[int, ResponseModel],
    *,
    scope: Needed | None = None,
    problems: tuple[int, ...] = (),
    idempotent: bool = False,
    takes_github_token: bool = False,
    redirects: bool = False,
    streams: bool = False,
    events: type[BaseModel] | None = None,
    job_tokens: bool = False,
    signed: str | None = None,
) -> Callable[[Handler], Operation]:
    """Return a decorator that makes an operation of a handler; `Operation` explains the arguments.

    Raises:
        TypeError: the handler's parameters are not the ids of the path, `query` and `body`.
    """

    def decorate(handler: Handler) -> Operation:
        hints = get_type_hints(handler)
        names = list(inspect.signature(handler).parameters)[1:]
        models = {name: hints[name] for name in names if name in {"query", "body"}}
        body = [part for part in get_args(models.get("body")) if part is not NoneType] or [models.get("body")]
        if set(names) - models.keys() != set(_IN_PATH.findall(path)):
            raise TypeError(f"{handler.__qualname__} takes {names}, which is not what {path} has")
        return Operation(
            method,
            path,
            handler,
            responses,
            scope,
            problems,
            query=models.get("query"),
            body=body[0],
            body_required=NoneType not in get_args(models.get("body")),
            idempotent=idempotent,
            takes_github_token=takes_github_token,
            redirects=redirects,
            streams=streams,
            events=events,
            job_tokens=job_tokens,
            signed=signed,
        )

    return decorate
