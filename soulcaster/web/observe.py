"""The log line and the id of each request, and the headers of every response."""

import time
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.hdrs import METH_ALL
from aiohttp.typedefs import Handler

from soulcaster.domain.text.normalize import cut
from soulcaster.telemetry.metrics import HTTP_REFUSALS, HTTP_REQUEST_SECONDS, HTTP_REQUESTS
from soulcaster.telemetry.spans import TRACER

_log = structlog.get_logger(__name__)

_REQUEST_ID = web.RequestKey("request_id", str)

_STREAM = web.RequestKey("stream", bool)

_REFUSED = frozenset({401, 403})

_NO_ROUTE = "none"
_MAX_PATH = 200
"""Characters of a path that a log line has. Ours are shorter; a stranger's may have 8,000, and fill a disk."""

_LEFT = 499
"""The caller disconnected before there was a response."""

_POLICY = "Content-Security-Policy"
_ALLOWED = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send our own forms with "Origin: null"
    "Server": "soulcaster",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log each request after its response: the path without the query, which may hold a sign-in token or a search."""
    request[_REQUEST_ID] = request_id = uuid4().hex
    started = time.perf_counter()
    status = _LEFT
    span = TRACER.now.request(_method(request), _route(request))
    with structlog.contextvars.bound_contextvars(request_id=request_id), span as traced:
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            seconds = time.perf_counter() - started
            _count(request, status, seconds)
            traced.answered(status)
            milliseconds = round(seconds * 1000, 1)
            path = cut(request.path, _MAX_PATH)
            _log.info("request", method=_method(request), path=path, status=status, ms=milliseconds)
    return response


def _count(request: web.Request, status: int, seconds: float) -> None:
    route = _route(request)
    HTTP_REQUESTS.labels(_method(request), route, "499" if status == _LEFT else f"{status // 100}xx").inc()
    if status in _REFUSED:
        HTTP_REFUSALS.labels(route, str(status)).inc()
    if _STREAM not in request:
        HTTP_REQUEST_SECONDS.labels(route).observe(seconds)


def _route(request: web.Request) -> str:
    """Return the pattern of a request's route."""
    resource = request.match_info.route.resource
    return _NO_ROUTE if resource is None else resource.canonical


def _method(request: web.Request) -> str:
    return request.method if request.method in METH_ALL else "other"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response; people's feedback stays out of caches."""
    if response.content_type == "text/event-stream":
        request[_STREAM] = True
    response.headers.update(_HEADERS)
    response.headers.setdefault(_POLICY, _ALLOWED)
    response.headers.setdefault("Cache-Control", "no-cache" if isinstance(response, web.FileResponse) else "no-store")
    if _REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[_REQUEST_ID]


def allow_own_script(response: web.StreamResponse) -> None:
    """Let a page run scripts that this server has as files, and let these fetch from this server."""
    response.headers[_POLICY] = f"{_ALLOWED}; script-src 'self'; connect-src 'self'"
