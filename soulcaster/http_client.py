"""HTTP clients of ours: every aiohttp session is made here, and no redirect leads one to another host.

A request carries a key, a token or what somebody wrote. Libraries drop the header Authorization when they follow a
redirect to another host, but no other header and no body; and what another host answers is not the vendor's word.
"""

from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL


class RedirectedAway(aiohttp.ClientError):
    """A server redirects to another host; whoever set its address has to look."""

    def __init__(self, address: URL, to: URL) -> None:
        super().__init__(f"{address.origin()} redirects to {to.origin()}, which is not followed")


def http_session(**options: Any) -> aiohttp.ClientSession:
    """Return a session that follows redirects within a host and raises `RedirectedAway` at any other.

    `options` are those of aiohttp.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_stay)
    return aiohttp.ClientSession(trace_configs=[trace], **options)


def check_redirect(address: URL, to: URL) -> None:
    """Return when a redirect stays at its host, or goes from http to https there.

    Raises:
        RedirectedAway: it leads to another host.
    """
    upgrade = address.scheme == "http" and to.origin() == address.origin().with_scheme("https")
    if to.origin() != address.origin() and not upgrade:
        raise RedirectedAway(address, to)


async def _stay(
    _session: aiohttp.ClientSession, _: SimpleNamespace, redirect: aiohttp.TraceRequestRedirectParams
) -> None:
    location = redirect.response.headers.get("Location") or redirect.response.headers.get("URI")
    if location is not None:
        check_redirect(redirect.url, redirect.url.join(URL(location)))
