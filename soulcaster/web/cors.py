"""CORS: pages of other origins that the settings name may call the API (Fetch Standard, section 3.2).

They send an API key and never this server's cookies, so credentials are not allowed. Pages under /app are open to no
other origin.
"""

from collections.abc import Collection

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from soulcaster.web.headers import (
    API_KEY_HEADER,
    CURSOR_HEADER,
    GITHUB_TOKEN_HEADER,
    IDEMPOTENCY_HEADER,
    LAST_EVENT_HEADER,
    TOTAL_HEADER,
)
from soulcaster.web.problems import is_page

MAX_AGE_SECONDS = 600
"""How long a browser may cache the response to a preflight."""

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = ", ".join(
    ("Authorization", API_KEY_HEADER, "Content-Type", IDEMPOTENCY_HEADER, LAST_EVENT_HEADER, GITHUB_TOKEN_HEADER)
)
_RESPONSE_HEADERS = ", ".join((TOTAL_HEADER, CURSOR_HEADER, "X-Request-Id", "Retry-After"))

_ORIGIN = web.RequestKey("origin", str)
"""The allowed origin whose page sent a request."""


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of an allowed origin read a response; added before the body, because a stream may not end."""
    if _ORIGIN in request:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request[_ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _RESPONSE_HEADERS
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)


def allow(origins: Collection[str]) -> Middleware:
    """Return the middleware that responds to preflights of these origins and marks their requests for `add_headers`."""

    @web.middleware
    async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in origins or is_page(request):
            return await handler(request)
        request[_ORIGIN] = origin
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return web.Response(
                status=204,
                headers={
                    hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
                    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
                    hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_SECONDS),
                },
            )
        return await handler(request)

    return check_origin
