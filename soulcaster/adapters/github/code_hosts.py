"""GitHub with the server's own credential: our App's token for the repository, else `GITHUB_TOKEN`, else none."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib import import_module

from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import PullRequestHost
from soulcaster.ports.installation_tokens import InstallationTokens, Permission

PERMISSIONS: Mapping[str, Permission] = {
    "metadata": "read",
    "contents": "read",
    "checks": "read",
    "statuses": "read",
    "pull_requests": "write",
    "issues": "write",
}
"""What the App's token may do: look at pull requests, checks and releases, and comment."""

KEPT = timedelta(minutes=45)
"""How long a token of the App is used again; GitHub lets it live for an hour."""

MOST_KEPT = 1_000
"""Repositories whose tokens are kept."""


class GitHubCodeHosts:
    """`ports.CodeHosts` for GitHub."""

    def __init__(self, url: str, clock: Clock, *, token: str, app: InstallationTokens | None) -> None:
        """Prepare; `url` is the API's address, `token` may be empty, `app` is None where there is no GitHub App."""
        self._url = url
        self._clock = clock
        self._token = token
        self._app = app
        self._kept: dict[str, tuple[str, datetime]] = {}

    @asynccontextmanager
    async def of(self, repository: str) -> AsyncIterator[PullRequestHost]:
        """Give GitHub as our credential for a repository reaches it; see `ports.CodeHosts`."""
        # The library behind it takes seconds to import, and most processes never need it.
        await asyncio.to_thread(import_module, "soulcaster.adapters.github.code_host")
        from soulcaster.adapters.github.code_host import GitHubCodeHost

        secret = self._token if self._app is None else await self._issued(self._app, repository)
        async with GitHubCodeHost(self._url, secret, self._clock) as host:
            yield host

    async def _issued(self, app: InstallationTokens, repository: str) -> str:
        secret, until = self._kept.get(repository, ("", self._clock()))
        if until <= self._clock():
            secret = await app.issue(repository, PERMISSIONS)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[repository] = secret, self._clock() + KEPT
        return secret
