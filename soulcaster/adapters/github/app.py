"""Our GitHub App: tokens of its installations, by githubkit.

Source: docs.github.com/en/rest/apps/apps ("Get a repository installation for the authenticated app", "Create an
installation access token for an app").
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from githubkit import AppAuthStrategy, GitHub
from githubkit.cache import MemCacheStrategy
from pydantic import BaseModel

from soulcaster.adapters.github.bounded import bounded_answers
from soulcaster.adapters.github.kit_errors import kit_errors
from soulcaster.adapters.github.rest import API_VERSION
from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.ports.installation_tokens import Permission

TIMEOUT_SECONDS = 5.0
"""Time limit of one request; a token takes two."""

_now = partial(datetime.now, UTC)

M = TypeVar("M", bound=BaseModel)


class _Installation(BaseModel):
    id: int
    suspended_at: datetime | None = None


class _Token(BaseModel):
    token: str


class GitHubApp:
    """`ports.InstallationTokens` over the REST API."""

    def __init__(self, app_id: str, private_key: str, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Prepare; `private_key` is a PEM text, `url` the API's address, `timeout` is in seconds per request."""
        self._app_id = app_id
        self._url = url
        self._github = GitHub(
            AppAuthStrategy(app_id, private_key),
            base_url=url,
            timeout=timeout,
            http_cache=False,
            auto_retry=False,
            follow_redirects=False,
            async_event_hooks=bounded_answers(),
            cache_strategy=MemCacheStrategy(),  # the default is shared by all Apps of the process
        )

    async def issue(self, repository: str, permissions: Mapping[str, Permission]) -> str:
        """Return a token of the App for one repository; see `ports.InstallationTokens`."""
        owner, _, name = repository.partition("/")
        place = f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}/installation"
        installation = await self._call("GET", place, _Installation, repository)
        if installation.suspended_at is not None:
            raise SourceRefuses(f"The installation of our GitHub App on {repository} is suspended at GitHub.")
        at = f"/app/installations/{installation.id}/access_tokens"
        wanted = {"repositories": [name], "permissions": dict(permissions)}
        return (await self._call("POST", at, _Token, repository, wanted)).token

    async def _call(
        self, method: str, path: str, model: type[M], repository: str, body: Mapping[str, object] | None = None
    ) -> M:
        what = f"our GitHub App on {repository}"
        with kit_errors(self._url, what, _now, lambda failed: self._refusal(failed.response.status_code, repository)):
            response = await self._github.arequest(method, path, json=body, headers=API_VERSION)
            if response.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED}:  # githubkit lets redirects pass
                raise self._refusal(response.status_code, repository)
            return model.model_validate_json(response.content)

    def _refusal(self, status: int, repository: str) -> SourceRefuses | SourceUnavailable:
        match status:
            case HTTPStatus.UNAUTHORIZED:
                return SourceRefuses(
                    f"GitHub does not accept our GitHub App {self._app_id}: check GITHUB_APP_ID, its private key and "
                    "the clock of this machine."
                )
            case HTTPStatus.NOT_FOUND:
                return SourceRefuses(
                    f"Our GitHub App {self._app_id} is not installed on {repository}: install it there, at GitHub."
                )
            case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.FORBIDDEN:
                return SourceRefuses(
                    f"GitHub gives our GitHub App no token for {repository} ({status}): it needs the permissions "
                    "contents, pull requests and issues (read and write), and whoever installed it has to accept them."
                )
            case status if 300 <= status < 400:
                return SourceRefuses(
                    f"{repository} has another name at GitHub now; change it in the project's settings."
                )
            case _:
                return SourceUnavailable(f"GitHub at {self._url} answered {status}")
