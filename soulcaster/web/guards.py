"""Guards against foreign web pages that would reach this server through the browser of a signed-in or local user."""

import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from soulcaster.web.problems import Problem, is_page

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def host_of(url: URL) -> str:
    """Return the host name of a URL as the Host header writes it."""
    return url.host_subcomponent or ""


def only_hosts(allowed: Iterable[str]) -> Middleware:
    """Return the middleware that refuses other host names: it stops a page that rebinds its own name to this server."""
    names = frozenset(name.lower() for name in allowed)

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        match = _HOST.fullmatch(request.headers.get("Host", "").lower())
        if match is None:
            raise Problem(400, "The Host header is missing or malformed.")
        if match["name"] not in names:
            raise Problem(421, "This server does not answer to that host name.")
        return await handler(request)

    return check_host


def same_origin(others: Collection[str] = ()) -> Middleware:
    """Return the middleware that refuses what a browser sends here for a page of another origin.

    The origins in `others` may call the API, but not the pages. Programs send neither of the headers checked here.
    """

    @web.middleware
    async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.method not in _SAFE and (origin not in others or is_page(request)):
            foreign = origin is not None and _authority(origin) != request.headers["Host"].lower()
            if foreign or request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
                raise Problem(403, "A page of another origin may not send this.")
        return await handler(request)

    return check_origin


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
