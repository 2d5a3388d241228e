"""What all calls of GitHub's REST API share: headers, reading a response, and what a refusal means.

Source: docs.github.com/en/rest/using-the-rest-api (versions, rate limits).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from yarl import URL

from soulcaster.errors import SoulcasterError, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock

MOST_BYTES = 32 * 1024 * 1024
"""No response is larger: the text of an issue has at most 64 kB."""

_WAIT = timedelta(minutes=1)
"""Wait if GitHub limits requests without saying until when."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What refusals of a call mean: what the `token` must allow, and what is `missing`."""

    token: str
    missing: str


def request_headers(token: str | None) -> dict[str, str]:
    """Return the headers of a request."""
    headers = {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "soulcaster",
    }
    return headers | {"Authorization": f"Bearer {token}"} if token else headers


async def read_json(response: aiohttp.ClientResponse) -> Any:
    """Return the JSON of a response.

    Raises:
        SourceUnavailable: the response is larger than `MOST_BYTES`, or not JSON.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MOST_BYTES:
            raise SourceUnavailable(f"GitHub's response has more than {MOST_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable("GitHub's response is not JSON") from error


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
    if (after := headers.get("Retry-After", "")).isdecimal():
        return now + timedelta(seconds=min(int(after), 86_400))
    if headers.get("X-RateLimit-Remaining") == "0" and (at := headers.get("X-RateLimit-Reset", "")).isdecimal():
        return max(now, datetime.fromtimestamp(min(int(at), 2**33), UTC))
    return now + _WAIT if status == 429 or b"rate limit" in body.lower() else None
