"""Repositories as GitHub's REST API has them, over a small server that answers as GitHub does."""

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.adapters.github.repositories import GitHubRepositories
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.ports.installation_tokens import Permission
from soulcaster.ports.repositories import BaseCommit

TOKEN = secrets.token_hex(8)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHA, OTHER = "5c1f0f4b9f2f6b0c3d1f4a7e8b9c0d1e2f3a4b5c", "ab" * 20


@dataclass
class GitHub:
    """One repository, acme/shop, with branches; `answers` come first, one a call."""

    branches: dict[str, Any] = field(default_factory=lambda: {"main": SHA, "feature/a+b": OTHER})
    default: Any = "main"
    token: str | None = None
    archived: bool = False
    answers: list[web.Response] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{rest:.*}", self._serve)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    async def _serve(self, request: web.Request) -> web.Response:
        self.calls.append(request.raw_path)
        self.authorizations.append(request.headers.get("Authorization"))
        if self.answers:
            return self.answers.pop(0)
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Not Found"}, status=404)
        if request.raw_path.startswith("/repos/acme/old"):
            raise web.HTTPMovedPermanently(request.raw_path.replace("old", "shop"))
        if request.raw_path == "/repos/acme/shop":
            return web.json_response(
                {"id": 1, "full_name": "acme/shop", "default_branch": self.default, "archived": self.archived}
            )
        name = request.path.removeprefix("/repos/acme/shop/branches/")
        if name in self.branches:
            return web.json_response({"name": name, "commit": {"sha": self.branches[name]}, "protected": False})
        return web.json_response({"message": "Branch not found"}, status=404)


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    async with GitHub() as server:
        yield server


@pytest.fixture
async def repositories(github: GitHub) -> AsyncIterator[GitHubRepositories]:
    async with GitHubRepositories(github.url, lambda: NOW, timeout=3) as client:
        yield client


async def test_the_default_branch_and_its_newest_commit(github: GitHub, repositories: GitHubRepositories) -> None:
    assert await repositories.base("acme/shop", branch=None, token=None) == BaseCommit("main", SHA)
    assert github.authorizations == [None, None]


async def test_a_branch_with_characters_that_urls_use(github: GitHub, repositories: GitHubRepositories) -> None:
    assert await repositories.base("acme/shop", branch="feature/a+b", token=None) == BaseCommit("feature/a+b", OTHER)
    assert github.calls == ["/repos/acme/shop", "/repos/acme/shop/branches/feature%2Fa%2Bb"]


async def test_a_private_repository_is_read_with_the_token(github: GitHub, repositories: GitHubRepositories) -> None:
    github.token = secrets.token_hex(8)
    assert (await repositories.base("acme/shop", branch=None, token=github.token)).commit == SHA
    with pytest.raises(SourceRefuses, match="needs a token"):
        await repositories.base("acme/shop", branch=None, token=None)
    with pytest.raises(SourceRefuses) as refused:
        await repositories.base("acme/shop", branch=None, token=TOKEN)
    assert TOKEN not in str(refused.value)


class OurApp:
    """An App whose token is `TOKEN`; `asked` are the repositories that one was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def issue(self, repository: str, permissions: Mapping[str, Permission]) -> str:
        assert permissions == {"metadata": "read", "contents": "read"}
        self.asked.append(repository)
        return TOKEN


async def test_without_a_token_of_the_caller_our_app_reads(github: GitHub) -> None:
    github.token, app = TOKEN, OurApp()
    async with GitHubRepositories(github.url, lambda: NOW, app=app) as repositories:
        assert (await repositories.base("acme/shop", branch=None, token=None)).commit == SHA
        assert app.asked == ["acme/shop"]
        assert (await repositories.base("acme/shop", branch=None, token=TOKEN)).commit == SHA
    assert app.asked == ["acme/shop"]


@pytest.mark.parametrize(("repository", "branch"), [("acme/other", None), ("acme/shop", "nope")])
async def test_what_is_not_there_is_refused(
    repositories: GitHubRepositories, repository: str, branch: str | None
) -> None:
    with pytest.raises(SourceRefuses, match="no such repository or branch"):
        await repositories.base(repository, branch=branch, token=None)


async def test_an_empty_repository_is_refused(github: GitHub, repositories: GitHubRepositories) -> None:
    github.branches.clear()
    with pytest.raises(SourceRefuses, match="empty"):
        await repositories.base("acme/shop", branch=None, token=None)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 422, 451])
async def test_a_refusal_says_what_to_do(github: GitHub, repositories: GitHubRepositories, status: int) -> None:
    github.answers = [web.json_response({"message": "no"}, status=status)]
    with pytest.raises(SourceRefuses, match=rf"\({status}\).*(contents|token)"):
        await repositories.base("acme/shop", branch=None, token=TOKEN)


async def test_a_limit_says_until_when(github: GitHub, repositories: GitHubRepositories) -> None:
    github.answers = [web.json_response({}, status=403, headers={"Retry-After": "30"})]
    with pytest.raises(SourceLimited) as limited:
        await repositories.base("acme/shop", branch=None, token=None)
    assert limited.value.until == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text="[" * 100_000),
    ],
)
async def test_what_is_no_repository_is_as_good_as_no_answer(
    github: GitHub, repositories: GitHubRepositories, answer: web.Response
) -> None:
    github.answers = [answer]
    with pytest.raises(SourceUnavailable):
        await repositories.base("acme/shop", branch=None, token=None)


@pytest.mark.parametrize("sha", [None, "", "main", SHA[:39], SHA.upper(), 7, SHA + "; rm"])
async def test_what_is_no_commit_is_as_good_as_no_answer(
    github: GitHub, repositories: GitHubRepositories, sha: Any
) -> None:
    github.branches["main"] = sha
    with pytest.raises(SourceUnavailable, match="no commit"):
        await repositories.base("acme/shop", branch=None, token=None)


@pytest.mark.parametrize("default", [None, "", 7, "x" * 256])
async def test_a_default_branch_that_cannot_be_is_as_good_as_no_answer(
    github: GitHub, repositories: GitHubRepositories, default: Any
) -> None:
    github.default = default
    with pytest.raises(SourceUnavailable, match="no default branch"):
        await repositories.base("acme/shop", branch=None, token=None)


async def test_a_branch_leads_to_no_other_address(github: GitHub, repositories: GitHubRepositories) -> None:
    with pytest.raises(SourceRefuses):
        await repositories.base("acme/shop", branch="../../../user", token=None)
    assert github.calls[1] == "/repos/acme/shop/branches/..%2F..%2F..%2Fuser"


async def test_an_archived_repository_is_refused(github: GitHub, repositories: GitHubRepositories) -> None:
    github.archived = True
    with pytest.raises(SourceRefuses, match="archived"):
        await repositories.base("acme/shop", branch="main", token=None)


async def test_a_renamed_repository_is_found(github: GitHub, repositories: GitHubRepositories) -> None:
    assert await repositories.base("acme/old", branch=None, token=TOKEN) == BaseCommit("main", SHA)
    assert set(github.authorizations) == {f"Bearer {TOKEN}"}


async def test_the_token_does_not_follow_to_another_server(github: GitHub, repositories: GitHubRepositories) -> None:
    async with GitHub() as elsewhere:
        github.answers = [web.Response(status=301, headers={"Location": f"{elsewhere.url}/repos/acme/shop"})]
        with pytest.raises(SourceUnavailable, match="redirects to"):
            await repositories.base("acme/shop", branch=None, token=TOKEN)
        assert elsewhere.authorizations == []
    assert github.authorizations == [f"Bearer {TOKEN}"]


async def test_a_github_that_is_not_there_does_not_answer() -> None:
    async with GitHubRepositories("http://127.0.0.1:9", lambda: NOW) as repositories:
        with pytest.raises(SourceUnavailable, match="does not answer"):
            await repositories.base("acme/shop", branch=None, token=None)
