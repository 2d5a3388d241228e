"""GitHub's REST API, as far as issues go.

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
"""Issues a page: the most that GitHub gives."""

TIMEOUT_SECONDS = 15.0

MOST_BYTES = 32 * 1024 * 1024
"""A page larger than this is not one of issues: their texts have 64 kB at most."""

_WAIT = timedelta(minutes=1)
"""How long to wait where GitHub limits and does not say until when."""


class GitHubIssues:
    """`ports.Issues` over the REST API; use it as `async with GitHubIssues(url, clock)`."""

    def __init__(self, url: str, clock: Clock, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Prepare; `url` is the API's address, `timeout` is in seconds, for one page."""
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
        """Return where a repository's issues begin; see `ports.Issues`."""
        query = {"state": state, "sort": "updated", "direction": "asc", "per_page": str(PAGE)}
        if since is not None:
            query["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return str((self._url / "repos" / repository / "issues").with_query(query))

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None where it is unchanged; see `ports.Issues`."""
        if URL(at).origin() != self._url.origin():
            raise SourceUnavailable("GitHub's answer leads to another server for its next page")  # not with our token
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "soulcaster",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
            if etag:  # without a token a 304 is counted like any other answer
                headers["If-None-Match"] = etag
        try:
            async with self._session.get(at, headers=headers) as answer:
                if answer.status == 304:
                    return None
                if answer.status != 200:
                    raise self._refused(answer.status, answer.headers, await answer.content.read(4_096))
                issues = await _json(answer)
                if not isinstance(issues, list):
                    raise SourceUnavailable("GitHub answered with something that is no list of issues")
                following = answer.links.get("next")
                next_at = None if following is None else str(following["url"])
                return IssuesPage(tuple(issues), next_at, answer.headers.get("ETag"))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SourceUnavailable(f"GitHub at {self._url} does not answer ({error!r})") from error

    def _refused(self, status: int, headers: Mapping[str, str], body: bytes) -> SoulcasterError:
        """Return what an answer without issues means."""
        until = self._limited_until(status, headers, body)
        if until is not None:
            return SourceLimited("GitHub takes no more requests for now", until)
        if status in {401, 403}:
            return SourceRefuses(f"GitHub refuses the token ({status}): it needs to be one that may read issues.")
        if status in {404, 410, 451}:
            return SourceRefuses(
                f"GitHub has no such repository, or its issues are off ({status}); a private one needs a token."
            )
        return SourceUnavailable(f"GitHub at {self._url} answered {status}")

    def _limited_until(self, status: int, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """Return until when GitHub takes no request; None where that is not what an answer says."""
        if status not in {403, 429}:
            return None
        now = self._clock()
        if (after := headers.get("Retry-After", "")).isdecimal():
            return now + timedelta(seconds=min(int(after), 86_400))
        if headers.get("X-RateLimit-Remaining") == "0" and (at := headers.get("X-RateLimit-Reset", "")).isdecimal():
            return max(now, datetime.fromtimestamp(min(int(at), 2**33), UTC))
        return now + _WAIT if status == 429 or b"rate limit" in body.lower() else None


async def _json(answer: aiohttp.ClientResponse) -> Any:
    """Return what an answer says.

    Raises:
        SourceUnavailable: it is larger than any answer can be, or no JSON.
    """
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MOST_BYTES:
            raise SourceUnavailable(f"GitHub answered with more than {MOST_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable("GitHub answered with something that is not JSON") from error
