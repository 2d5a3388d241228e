"""Issues from GitHub's REST API.

Source: docs.github.com/en/rest/issues/issues ("List repository issues") and .../rest/using-the-rest-api (pagination,
conditional requests, rate limits).
"""

from datetime import UTC, datetime
from typing import Literal

import aiohttp
from yarl import URL

from soulcaster.adapters.github.rest import MOST_BYTES, GitHubClient, Refusals, ResponseTooLarge, read_json
from soulcaster.errors import SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.issues import IssuesPage

PAGE = 100
"""Issues per page, GitHub's maximum."""

_SIZES = (50, 25, 5, 1)
"""Issues of a smaller page, where one is too large; each size fits a whole number of times into those before it."""

TIMEOUT_SECONDS = 15.0

REFUSALS = Refusals(
    token="it must be allowed to read issues",  # noqa: S106
    missing="GitHub has no such repository, or its issues are off",
)


class GitHubIssues(GitHubClient):
    """`ports.Issues` over the REST API; use it as `async with GitHubIssues(url, clock)`."""

    def __init__(
        self, url: str, clock: Clock, *, timeout: float = TIMEOUT_SECONDS, most_bytes: int = MOST_BYTES
    ) -> None:
        """Prepare; `url` is the API's address, `timeout` is in seconds per page, of at most so many bytes."""
        super().__init__(url, clock, timeout=timeout, refusals=REFUSALS)
        self._most_bytes = most_bytes

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        """Return the address of a repository's first page of issues; see `ports.Issues`."""
        query = {"state": state, "sort": "updated", "direction": "asc", "per_page": str(PAGE)}
        if since is not None:
            query["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return str((self._url / "repos" / repository / "issues").with_query(query))

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None if it is unchanged; see `ports.Issues`."""
        self._check_ours(URL(at))
        async with self._get(at, token, etag=etag, statuses=(200, 304)) as response:
            if response.status == 304:
                return None
            next_at = self._next(response)
            try:
                issues = await read_json(response, self._most_bytes)
            except ResponseTooLarge:
                smaller = _smaller(URL(at))
                if smaller is None:
                    return IssuesPage((), next_at, None, too_large=1)
            else:
                if not isinstance(issues, list):
                    raise SourceUnavailable("GitHub's response is not a list of issues")
                return IssuesPage(tuple(issues), next_at, response.headers.get("ETag"))
        return await self.page(smaller, token=token)

    def _next(self, response: aiohttp.ClientResponse) -> str | None:
        try:
            following = response.links.get("next")
        except ValueError as error:
            raise SourceUnavailable("GitHub's next page has no address") from error
        if following is None:
            return None
        at = URL(str(following["url"]))
        self._check_ours(at)
        return str(at)

    def _check_ours(self, at: URL) -> None:
        """Return when an address is on GitHub's server; no other must get our token."""
        if not at.host or at.origin() != self._url.origin():
            raise SourceUnavailable("GitHub's next page is on another server")


def _smaller(at: URL) -> str | None:
    """Return the address of the page that has the first issues of a page, and fewer; None where it has one."""
    size, number = (int(text) if (text := at.query.get(name, "")).isdecimal() else 0 for name in ("per_page", "page"))
    fewer = next((fewer for fewer in _SIZES if fewer < size and size % fewer == 0), None)
    if fewer is None:
        return None
    if "after" not in at.query:  # with it GitHub counts from there, and not by numbers
        at = at.update_query(page=str((max(number, 1) - 1) * (size // fewer) + 1))
    return str(at.update_query(per_page=str(fewer)))
