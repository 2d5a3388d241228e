"""The tests' own GitHub answers as GitHub's published description of its API says."""

from pathlib import Path
from typing import Any

import aiohttp

from tests.support.github_server import Fault, GitHubServer

TOKEN = "token-of-mona"  # noqa: S105


async def call(server: GitHubServer, method: str, path: str, body: Any = None, *, token: str | None = TOKEN) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{server.api_url}{path}", json=body, headers=headers) as answer,
    ):
        return answer.status, None if answer.status == 204 else await answer.json()


async def test_its_answers_are_as_github_describes_them(tmp_path: Path) -> None:
    async with GitHubServer(tmp_path, described=True) as server:
        server.token(TOKEN, "mona")
        server.add("acme/shop", {"a.py": "1\n"}, people={"mona": "write"})
        server.add("acme/empty")
        commit = server.git.commit("acme/shop", {"b.py": "2\n"}, branch="fix")
        server.add_check("acme/shop", commit, "tests", "success")
        opening = {"title": "A fix", "head": "fix", "base": "main", "draft": True}
        walk = [
            ("GET", "/repos/acme/shop", None, 200),
            ("GET", "/repos/acme/none", None, 404),
            ("GET", "/repos/acme/shop/git/ref/heads/fix", None, 200),
            ("GET", "/repos/acme/empty/git/ref/heads/main", None, 409),
            ("POST", "/repos/acme/shop/forks", {}, 202),
            ("GET", "/repos/mona/shop", None, 200),
            ("POST", "/repos/acme/shop/pulls", opening, 201),
            ("POST", "/repos/acme/shop/pulls", opening, 422),
            ("GET", "/repos/acme/shop/pulls?state=all&head=acme:fix", None, 200),
            ("GET", "/repos/acme/shop/pulls/1", None, 200),
            ("PATCH", "/repos/acme/shop/pulls/1", {"body": "More"}, 200),
            ("POST", "/repos/acme/shop/issues", {"title": "A bug", "body": "Words"}, 201),
            ("GET", "/repos/acme/shop/issues?creator=mona", None, 200),
            ("POST", "/repos/acme/shop/issues/1/comments", {"body": "Done"}, 201),
            ("GET", "/repos/acme/shop/issues/1/comments", None, 200),
            ("GET", f"/repos/acme/shop/commits/{commit}/check-runs", None, 200),
            ("GET", f"/repos/acme/shop/commits/{commit}/status", None, 200),
            ("GET", "/repos/acme/shop/collaborators/mona/permission", None, 200),
            ("DELETE", "/repos/acme/shop/git/refs/heads/fix", None, 204),
            ("DELETE", "/repos/acme/shop/git/refs/heads/fix", None, 422),
        ]
        for method, path, body, status in walk:
            assert (await call(server, method, path, body))[0] == status, path
        assert [one.state for one in server.pulls("acme/shop")] == ["closed"]


async def test_a_call_can_be_refused_and_the_next_one_is_carried_out(tmp_path: Path) -> None:
    async with GitHubServer(tmp_path) as server:
        server.add("acme/shop", {"a.py": "1\n"})
        server.faults["GET", "/{repo}"] = [Fault(502)]
        assert (await call(server, "GET", "/repos/acme/shop", token=None))[0] == 502
        assert (await call(server, "GET", "/repos/acme/shop", token=None))[0] == 200


async def test_merging_puts_the_change_on_the_base(tmp_path: Path) -> None:
    async with GitHubServer(tmp_path) as server:
        server.token(TOKEN, "mona")
        server.add("acme/shop", {"a.py": "1\n"}, people={"mona": "write"})
        server.git.commit("acme/shop", {"b.py": "2\n"}, branch="main")
        server.git.git("acme/shop", "branch", "fix", "main~1")
        server.git.commit("acme/shop", {"a.py": "3\n"}, branch="fix")
        await call(server, "POST", "/repos/acme/shop/pulls", {"title": "A fix", "head": "fix", "base": "main"})
        server.merge("acme/shop", 1)
        assert server.git.read("acme/shop", "main", "a.py") == "3"
        assert (await call(server, "GET", "/repos/acme/shop/pulls/1"))[1]["merged_at"] is not None
