"""What all calls of GitHub's REST API share: headers, reading a response, and what a refusal means.

Source: docs.github.com/en/rest/using-the-rest-api (versions, rate limits).
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import aiohttp
from yarl import URL

from soulcaster.errors import SoulcasterError, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.http_client import http_session
from soulcaster.http_json import parse_json
from soulcaster.http_numbers import LONGEST_WAIT, read_number, read_retry_after
from soulcaster.ports.clock import Clock
from soulcaster.services.threads import away

API_VERSION = {"X-GitHub-Api-Version": "2022-11-28"}

MOST_BYTES = 32 * 1024 * 1024
"""No response is larger: the text of an issue has at most 64 kB."""

_WAIT = timedelta(minutes=1)
"""Wait if GitHub limits requests without saying until when."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What refusals of a call mean: what the `token` must allow, and what is `missing`."""

    token: str
    missing: str


class GitHubClient:
    """A connection to GitHub's REST API; use it, or what is built on it, by `async with`."""

    def __init__(self, url: str, clock: Clock, *, timeout: float, refusals: Refusals) -> None:
        """Prepare; `url` is the API's address, `timeout` is in seconds per request."""
        self._url = URL(url)
        self._clock = clock
        self._refusals = refusals
        self._session = http_session(timeout=aiohttp.ClientTimeout(total=timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    @asynccontextmanager
    async def _get(
        self, at: URL | str, token: str | None, *, etag: str | None = None, statuses: Collection[int] = (200,)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the response to a request, whose status is one of these; 304 says that the resource has this `etag`.

        Raises:
            SourceRefuses: GitHub refuses the token, or knows no such resource.
            SourceLimited: GitHub accepts no more requests for now.
            SourceUnavailable: GitHub does not answer, or not as it should.
        """
        headers = request_headers(token)
        if token and etag:  # without a token a 304 counts against the rate limit
            headers["If-None-Match"] = etag
        try:
            async with self._session.get(at, headers=headers) as response:
                if response.status not in statuses:
                    raise await refusal(response, self._url, self._clock, self._refusals)
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise no_response(error, self._url) from error


def request_headers(token: str | None) -> dict[str, str]:
    """Return the headers of a request."""
    headers = {
        "Accept": "application/vnd.github+json",
        **API_VERSION,
        "User-Agent": "soulcaster",
    }
    return headers | {"Authorization": f"Bearer {token}"} if token else headers


class ResponseTooLarge(SourceUnavailable):
    """A response has more bytes than we read."""


async def read_json(response: aiohttp.ClientResponse, most_bytes: int = MOST_BYTES) -> Any:
    """Return the JSON of a response.

    Raises:
        ResponseTooLarge: the response has more than `most_bytes`.
        SourceUnavailable: it is not JSON.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > most_bytes:
            raise ResponseTooLarge(f"GitHub's response has more than {most_bytes:,} bytes")
    return await parsed(body)


async def parsed(body: bytes | bytearray) -> Any:
    """Return the JSON of a body; a large one is parsed beside the event loop.

    Raises:
        SourceUnavailable: it is not JSON, or says more than any answer to what we ask.
    """
    try:
        return await away(len(body), lambda: parse_json(body, _object))
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable("GitHub's response is not JSON") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Being Python, it lets the event loop run between two of them; the parser does not."""
    return dict(pairs)


def no_response(error: Exception, url: URL) -> SourceUnavailable:
    """Return the error for a call that got no valid response.

    It has only the text of aiohttp's error: the `repr` of some contains the headers of the request, and so the token.
    """
    return SourceUnavailable(f"GitHub at {url} does not answer ({type(error).__name__}: {error})")


async def refusal(response: aiohttp.ClientResponse, url: URL, clock: Clock, refusals: Refusals) -> SoulcasterError:
    """Return the error for a response that is not the expected one."""
    status = response.status
    until = _limited_until(status, response.headers, await response.content.read(4_096), clock())
    if until is not None:
        return SourceLimited("GitHub takes no more requests for now", until)
    if status in {401, 403}:
        return SourceRefuses(f"GitHub refuses the token ({status}): {refusals.token}.")
    if status in {404, 409, 410, 422, 451}:
        return SourceRefuses(f"{refusals.missing} ({status}); a private one needs a token.")
    return SourceUnavailable(f"GitHub at {url} answered {status}")


def _limited_until(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> datetime | None:
    """Return until when GitHub accepts no request; None if the response is not about a rate limit."""
    if status not in {403, 429}:
        return None
    seconds = read_retry_after(headers, now)
    if seconds is None and headers.get("X-RateLimit-Remaining") == "0":
        reset = read_number(headers.get("X-RateLimit-Reset"))  # in seconds since 1970
        seconds = None if reset is None else min(max(reset - now.timestamp(), 0.0), LONGEST_WAIT)
    if seconds is not None:
        return now + timedelta(seconds=seconds)
    return now + _WAIT if status == 429 or b"rate limit" in body.lower() else None
