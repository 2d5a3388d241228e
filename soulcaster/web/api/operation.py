"""One definition of a route: its address, what it takes and what it answers. The rest is made of that.

A handler's own parameters say what it takes: `query` and `body` are models, any other is an id in the path. What is not
as the models say is answered before the handler is called; soulcaster/web/api/openapi.py describes the same models.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from soulcaster.web.caller import CALLER, Caller, Needed, identify
from soulcaster.web.parameters import PROJECT, path_id, read_json, read_query
from soulcaster.web.signatures import identify_sender

Answer = type[BaseModel] | tuple[type[BaseModel]]
"""The model of an answer; in a tuple of one, a bare list of it."""

_IN_PATH = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked of the API at one address by one method.

    `scope` is what a key must be good for, "local" where no key is, None where anyone may call; `answers` are the
    models by status, `problems` the statuses of problems beyond those that any route may answer. One that is `keyed`
    takes an Idempotency-Key, one `with_token` a token for GitHub; one that `redirects` may send a browser elsewhere.
    One that `streams` answers with Server-Sent Events, and the model in `answers` is that of their data. One that is
    `signed` takes the webhooks of that source, which prove by their signature whose they are and need no key; its
    handler reads the body.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[web.StreamResponse]]
    scope: Needed | None
    answers: Mapping[int, Answer]
    problems: tuple[int, ...]
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    keyed: bool
    with_token: bool
    redirects: bool
    streams: bool
    signed: str | None

    @property
    def id(self) -> str:
        """Return its name among all operations, as "clusters.merge"."""
        return f"{self.group}.{self.handler.__name__}"

    @property
    def group(self) -> str:
        """Return what it is about: the name of its module."""
        return self.handler.__module__.rsplit(".", 1)[1]

    @property
    def description(self) -> str:
        """Return what it does, in its own words."""
        return inspect.getdoc(self.handler) or ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the names of the ids in its path."""
        return tuple(_IN_PATH.findall(self.path))

    def route(self) -> web.RouteDef:
        """Return it as aiohttp routes it."""
        if self.method == "GET":
            return web.get(self.path, self._handle, name=self.id)  # takes HEAD as well
        return web.route(self.method, self.path, self._handle, name=self.id)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        project_id = request.query.get(PROJECT) or None
        if self.scope is not None:
            request[CALLER] = caller = await self._caller(request, self.scope)
            project_id = caller.project(project_id)
            caller.project(request.match_info.get(PROJECT))
        taken: dict[str, Any] = {name: path_id(request, name) for name in self.ids}
        if self.query is not None:
            taken["query"] = read_query(request, self.query, project_id=project_id)
        if self.body is not None:
            taken["body"] = await read_json(request, self.body)
        return await self.handler(request, **taken)

    async def _caller(self, request: web.Request, scope: Needed) -> Caller:
        if self.signed is None:
            return await identify(request, scope)
        return await identify_sender(request, self.signed, scope)


def operation(
    method: str,
    path: str,
    answers: Mapping[int, Answer],
    *,
    scope: Needed | None = None,
    problems: tuple[int, ...] = (),
    keyed: bool = False,
    with_token: bool = False,
    redirects: bool = False,
    streams: bool = False,
    signed: str | None = None,
) -> Callable[[Callable[..., Awaitable[web.StreamResponse]]], Operation]:
    """Make an operation of a handler.

    Raises:
        TypeError: the handler's parameters are not the path's ids, `query` and `body`.
    """

    def made(handler: Callable[..., Awaitable[web.StreamResponse]]) -> Operation:
        hints = get_type_hints(handler)
        names = list(inspect.signature(handler).parameters)[1:]
        models = {name: hints[name] for name in names if name in {"query", "body"}}
        if set(names) - models.keys() != set(_IN_PATH.findall(path)):
            raise TypeError(f"{handler.__qualname__} takes {names}, which is not what {path} has")
        query, body = models.get("query"), models.get("body")
        more = (keyed, with_token, redirects, streams, signed)
        return Operation(method, path, handler, scope, answers, problems, query, body, *more)

    return made
