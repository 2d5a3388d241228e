"""The log line and the id of each request, and the headers of every response."""

import time
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

_log = structlog.get_logger(__name__)

_REQUEST_ID = web.RequestKey("request_id", str)

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
    status = 499  # the caller disconnected before there was a response
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            _log.info("request", method=request.method, path=request.path, status=status, ms=milliseconds)
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response; people's feedback stays out of caches."""
    response.headers.update(_HEADERS)
    response.headers.setdefault(_POLICY, _ALLOWED)
    response.headers.setdefault("Cache-Control", "no-cache" if isinstance(response, web.FileResponse) else "no-store")
    if _REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[_REQUEST_ID]


def allow_own_script(response: web.StreamResponse) -> None:
    """Let a page run scripts that this server has as files, and let these fetch from this server."""
    response.headers[_POLICY] = f"{_ALLOWED}; script-src 'self'; connect-src 'self'"
