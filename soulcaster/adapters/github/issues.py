"""Issues from GitHub's REST API.

Source: docs.github.com/en/rest/issues/issues ("List repository issues") and .../rest/using-the-rest-api (pagination,
conditional requests, rate limits).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import aiohttp
from yarl import URL

from soulcaster.errors import SoulcasterError, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.issues import IssuesPage

PAGE = 100
"""Issues per page, GitHub's maximum."""

TIMEOUT_SECONDS = 15.0

MOST_BYTES = 32 * 1024 * 1024
"""No page of issues is larger: the text of an issue has at most 64 kB."""

_WAIT = timedelta(minutes=1)
"""Wait if GitHub limits requests without saying until when."""


class GitHubIssues:
    """`ports.Issues` over the REST API; use it as `async with GitHubIssues(url, clock)`."""

    def __init__(self, url: str, clock: Clock, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Prepare; `url` is the API's address, `timeout` is in seconds per page."""
        self._url = URL(url)
        self._clock = clock
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), raise_for_status=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        """Return the address of a repository's first page of issues; see `ports.Issues`."""
        query = {"state": state, "sort": "updated", "direction": "asc", "per_page": str(PAGE)}
        if since is not None:
            query["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return str((self._url / "repos" / repository / "issues").with_query(query))

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None if it is unchanged; see `ports.Issues`."""
        if URL(at).origin() != self._url.origin():  # it must not get our token
            raise SourceUnavailable("GitHub's next page is on another server")
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "soulcaster",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
            if etag:  # without a token a 304 counts against the rate limit
                headers["If-None-Match"] = etag
        try:
            async with self._session.get(at, headers=headers) as response:
                if response.status == 304:
                    return None
                if response.status != 200:
                    raise self._refused(response.status, response.headers, await response.content.read(4_096))
                issues = await _json(response)
                if not isinstance(issues, list):
                    raise SourceUnavailable("GitHub's response is not a list of issues")
                following = response.links.get("next")
                next_at = None if following is None else str(following["url"])
                return IssuesPage(tuple(issues), next_at, response.headers.get("ETag"))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SourceUnavailable(f"GitHub at {self._url} does not answer ({error!r})") from error

    def _refused(self, status: int, headers: Mapping[str, str], body: bytes) -> SoulcasterError:
        """Return the error for a response without issues."""
        until = self._limited_until(status, headers, body)
        if until is not None:
            return SourceLimited("GitHub takes no more requests for now", until)
        if status in {401, 403}:
            return SourceRefuses(f"GitHub refuses the token ({status}): it must be allowed to read issues.")
        if status in {404, 410, 451}:
            return SourceRefuses(
                f"GitHub has no such repository, or its issues are off ({status}); a private one needs a token."
            )
        return SourceUnavailable(f"GitHub at {self._url} answered {status}")

    def _limited_until(self, status: int, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """Return until when GitHub accepts no request; None if the response is not about a rate limit."""
        if status not in {403, 429}:
            return None
        now = self._clock()
        if (after := headers.get("Retry-After", "")).isdecimal():
            return now + timedelta(seconds=min(int(after), 86_400))
        if headers.get("X-RateLimit-Remaining") == "0" and (at := headers.get("X-RateLimit-Reset", "")).isdecimal():
            return max(now, datetime.fromtimestamp(min(int(at), 2**33), UTC))
        return now + _WAIT if status == 429 or b"rate limit" in body.lower() else None


async def _json(response: aiohttp.ClientResponse) -> Any:
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
