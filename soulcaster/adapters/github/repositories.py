"""Repositories from GitHub's REST API.

Source: docs.github.com/en/rest/repos/repos ("Get a repository") and .../rest/branches/branches ("Get a branch").
"""

import re
from typing import Any
from urllib.parse import quote

from yarl import URL

from soulcaster.adapters.github.rest import GitHubClient, Refusals, read_json
from soulcaster.domain.fixes.fix import MAX_BRANCH
from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.installation_tokens import READ, InstallationTokens
from soulcaster.ports.repositories import BaseCommit

TIMEOUT_SECONDS = 5.0

REFUSALS = Refusals(
    token="it must be allowed to read the repository's contents",  # noqa: S106
    missing="GitHub has no such repository or branch, or the repository is empty",
)

_COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitHubRepositories(GitHubClient):
    """`ports.Repositories` over the REST API; use it as `async with GitHubRepositories(url, clock)`."""

    def __init__(
        self, url: str, clock: Clock, *, app: InstallationTokens | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Prepare; `url` is the API's address, `app` reads where a call brings no token, `timeout` is per request."""
        self._app = app
        super().__init__(url, clock, timeout=timeout, refusals=REFUSALS)

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        """Return a branch with its newest commit; see `ports.repositories.Repositories`."""
        if token is None and self._app is not None:
            token = await self._app.issue(repository, READ)
        place = self._url / "repos" / repository
        known = await self._object(place, token)
        if known.get("archived") is True:
            raise SourceRefuses(f"{repository} is archived at GitHub, so nothing can be changed in it.")
        branch = branch or known.get("default_branch")
        if not isinstance(branch, str) or not 0 < len(branch) <= MAX_BRANCH:
            raise SourceUnavailable(f"GitHub's response names no default branch of {repository}")
        found = await self._object(URL(f"{place}/branches/{quote(branch, safe='')}", encoded=True), token)
        commit = found.get("commit")
        sha = commit.get("sha") if isinstance(commit, dict) else None
        if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
            raise SourceUnavailable(f"GitHub's response names no commit of {repository}")
        return BaseCommit(branch, sha)

    async def _object(self, url: URL, token: str | None) -> dict[str, Any]:
        async with self._get(url, token) as response:
            body = await read_json(response)
        if not isinstance(body, dict):
            raise SourceUnavailable("GitHub's response is not an object")
        return body
