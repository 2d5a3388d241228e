"""The tokens of our GitHub App, from a GitHub that checks its signature."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from soulcaster.adapters.github.app import GitHubApp
from soulcaster.errors import SoulcasterError, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.services.credentials import PERMISSIONS
from tests.support.github_app import APP_ID, OUR_KEY, GitHubApps, rsa_key


@pytest.fixture
async def github() -> AsyncIterator[GitHubApps]:
    async with GitHubApps() as server:
        yield server


def app_of(github: GitHubApps, *, app_id: str = APP_ID, key: str = OUR_KEY) -> GitHubApp:
    return GitHubApp(app_id, rsa_key(key), github.url)


async def test_a_token_reaches_one_repository_and_does_what_it_is_for(github: GitHubApps) -> None:
    app = app_of(github)
    assert [await app.issue("acme/shop", PERMISSIONS[use]) for use in ("clone", "publish")] == ["ghs_1", "ghs_2"]
    clone, publish = github.issued
    assert clone == {
        "installation": 77,
        "repositories": ["shop"],
        "permissions": {"metadata": "read", "contents": "read"},
    }
    assert publish["repositories"] == ["shop"]
    assert publish["permissions"] == {
        "metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write",
    }  # fmt: skip


async def test_where_it_is_not_installed_it_says_so(github: GitHubApps) -> None:
    with pytest.raises(SourceRefuses, match=r"not installed on acme/other"):
        await app_of(github).issue("acme/other", PERMISSIONS["clone"])


async def test_a_suspended_installation(github: GitHubApps) -> None:
    github.suspended = True
    with pytest.raises(SourceRefuses, match="suspended"):
        await app_of(github).issue("acme/shop", PERMISSIONS["clone"])
    assert github.issued == []


async def test_a_permission_that_was_not_granted(github: GitHubApps) -> None:
    github.granted = {"metadata": "read", "contents": "read"}
    app = app_of(github)
    await app.issue("acme/shop", PERMISSIONS["clone"])
    with pytest.raises(SourceRefuses, match="needs the permissions"):
        await app.issue("acme/shop", PERMISSIONS["publish"])


@pytest.mark.parametrize("wrong", [{"app_id": "1"}, {"key": "of another"}])
async def test_an_app_that_github_does_not_know(github: GitHubApps, wrong: dict[str, str]) -> None:
    with pytest.raises(SourceRefuses, match="GITHUB_APP_ID") as raised:
        await app_of(github, **wrong).issue("acme/shop", PERMISSIONS["clone"])
    assert "PRIVATE KEY" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: web.Response(status=500), SourceUnavailable),
        (lambda: web.Response(status=502, text="<html>"), SourceUnavailable),
        (lambda: web.Response(text="not JSON"), SourceUnavailable),
        (lambda: web.json_response({"id": None}), SourceUnavailable),
        (lambda: web.Response(status=429, headers={"Retry-After": "30"}), SourceLimited),
        (
            lambda: web.Response(status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}),
            SourceLimited,
        ),
        (lambda: web.Response(status=301, headers={"Location": "/repositories/1/installation"}), SourceRefuses),
        (lambda: web.json_response({"message": "Forbidden"}, status=403), SourceRefuses),
    ],
)
async def test_what_github_may_answer_instead(
    github: GitHubApps, answer: "type[web.Response]", error: type[SoulcasterError]
) -> None:
    github.answers = [answer()]
    with pytest.raises(error):
        await app_of(github).issue("acme/shop", PERMISSIONS["clone"])
    assert await app_of(github).issue("acme/shop", PERMISSIONS["clone"]) == "ghs_1"


async def test_a_github_that_does_not_answer() -> None:
    async with GitHubApps() as github:
        pass
    with pytest.raises(SourceUnavailable, match="does not answer") as raised:
        await app_of(github).issue("acme/shop", PERMISSIONS["clone"])
    assert "Bearer" not in repr(raised.value.__cause__)
