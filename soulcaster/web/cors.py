"""CORS: pages of other origins that the settings name may call the API (Fetch Standard, section 3.2).

They send an API key, never this server's cookies, so credentials are not allowed. Pages under /app are for no other
origin.
"""

from collections.abc import Collection

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from soulcaster.web.api.answers import CURSOR_HEADER, TOTAL_HEADER
from soulcaster.web.caller import API_KEY_HEADER
from soulcaster.web.parameters import GITHUB_HEADER, IDEMPOTENCY_HEADER, LAST_EVENT
from soulcaster.web.problems import is_page

MAX_AGE_SECONDS = 600
"""How long a browser may remember what a preflight was answered."""

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_TAKEN = ", ".join(("Authorization", API_KEY_HEADER, "Content-Type", IDEMPOTENCY_HEADER, LAST_EVENT, GITHUB_HEADER))
_SHOWN = ", ".join((TOTAL_HEADER, CURSOR_HEADER, "X-Request-Id", "Retry-After"))


_ORIGIN = web.RequestKey("origin", str)
"""The origin whose page may read the answer to a request."""


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of an allowed origin read an answer; added as it begins, for a stream may not end."""
    if _ORIGIN in request:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request[_ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _SHOWN
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)


def allow(origins: Collection[str]) -> Middleware:
    """Return the middleware that answers preflights of these origins, and lets `add_headers` know of the others."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in origins or is_page(request):
            return await handler(request)
        request[_ORIGIN] = origin
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return web.Response(
                status=204,
                headers={
                    hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
                    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _TAKEN,
                    hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_SECONDS),
                },
            )
        return await handler(request)

    return answer
