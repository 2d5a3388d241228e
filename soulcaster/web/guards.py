"""Who may call at all: no foreign web page may reach this server through the browser of who is signed in, or local."""

import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from soulcaster.web.problems import Problem, is_page

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def host_of(url: URL) -> str:
    """Return the host name of an address as the header Host writes it."""
    return url.host_subcomponent or ""


def only_hosts(allowed: Iterable[str]) -> Middleware:
    """Return the middleware that refuses other Host names: a page that rebinds its own name to us stays outside."""
    names = frozenset(name.lower() for name in allowed)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        match = _HOST.fullmatch(request.headers.get("Host", "").lower())
        if match is None:
            raise Problem(400, "The Host header is missing or malformed.")
        if match["name"] not in names:
            raise Problem(421, "This server does not answer to that host name.")
        return await handler(request)

    return check


def same_origin(others: Collection[str] = ()) -> Middleware:
    """Return the middleware that refuses what a browser sends here on behalf of another origin, but for `others`.

    Those may call the API, not the pages. Programs send neither of the headers looked at.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.method not in _SAFE and (origin not in others or is_page(request)):
            foreign = origin is not None and _authority(origin) != request.headers["Host"].lower()
            if foreign or request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
                raise Problem(403, "A page of another origin may not send this.")
        return await handler(request)

    return check


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
