"""GitHub with the server's own credential: `GITHUB_TOKEN`, else none, which shows what is public."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from soulcaster.adapters.github.code_host import GitHubCodeHost
from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import PullRequestHost


class GitHubCodeHosts:
    """`ports.CodeHosts` for GitHub."""

    def __init__(self, url: str, clock: Clock, *, token: str) -> None:
        """Prepare; `url` is the API's address, `token` may be empty."""
        self._url = url
        self._clock = clock
        self._token = token

    @asynccontextmanager
    async def of(self, repository: str) -> AsyncIterator[PullRequestHost]:
        """Give GitHub as our credential for a repository reaches it; see `ports.CodeHosts`."""
        async with GitHubCodeHost(self._url, self._token, self._clock) as host:
            yield host
