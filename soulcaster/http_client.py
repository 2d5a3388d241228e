"""HTTP clients of ours: every aiohttp session is made here. No redirect leads one to another host; no answer fills us.

A request carries a key, a token or what somebody wrote. Libraries drop the header Authorization when they follow a
redirect to another host, but no other header and no body; and what another host answers is not the vendor's word.
Libraries read an answer whole, however long it is, unless they are told where to stop.
"""

from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

MOST_ANSWER_BYTES = 64 * 1024 * 1024
"""No answer is larger, unless its reader takes it in parts."""


class RedirectedAway(aiohttp.ClientError):
    """A server redirects to another host, or to none; whoever set its address has to look."""

    def __init__(self, address: URL, to: URL | None) -> None:
        where = to.origin() if to is not None and to.host else "what is no address"
        super().__init__(f"{address.origin()} redirects to {where}, which is not followed")


class AnswerTooLarge(aiohttp.ClientError):
    """A server's answer has more bytes than we read."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the answer has more than {most:,} bytes")


class _Bounded(aiohttp.ClientResponse):
    """An answer of which nobody reads more than `MOST_ANSWER_BYTES` at once; `content` gives it in parts."""

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            AnswerTooLarge: it is too large; the connection is closed.
        """
        if self._body is None:
            body = bytearray()
            try:
                async for part in self.content.iter_any():
                    body += part
                    if len(body) > MOST_ANSWER_BYTES:
                        raise AnswerTooLarge(MOST_ANSWER_BYTES)
            except BaseException:
                self.close()
                raise
            self._body = bytes(body)
        return await super().read()


def http_session(**options: Any) -> aiohttp.ClientSession:
    """Return a session that follows redirects within a host and raises `RedirectedAway` at any other.

    Reading an answer at once raises `AnswerTooLarge` above `MOST_ANSWER_BYTES`. `options` are those of aiohttp.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_stay)
    return aiohttp.ClientSession(trace_configs=[trace], response_class=_Bounded, **options)


def check_redirect(address: URL, to: URL) -> None:
    """Return when a redirect stays at its host, or goes from http to https there.

    Raises:
        RedirectedAway: it leads to another host, or to none.
    """
    if to.host:
        upgrade = address.scheme == "http" and to.origin() == address.origin().with_scheme("https")
        if to.origin() == address.origin() or upgrade:
            return
    raise RedirectedAway(address, to)


async def _stay(
    _session: aiohttp.ClientSession, _: SimpleNamespace, redirect: aiohttp.TraceRequestRedirectParams
) -> None:
    location = redirect.response.headers.get("Location") or redirect.response.headers.get("URI")
    if location is None:
        return
    try:
        to = redirect.url.join(URL(location))
    except ValueError as error:
        raise RedirectedAway(redirect.url, None) from error
    check_redirect(redirect.url, to)
