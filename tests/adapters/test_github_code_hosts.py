"""GitHub with the server's own credential."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soulcaster.adapters.github.code_hosts import KEPT, GitHubCodeHosts
from soulcaster.errors import SourceRefuses
from soulcaster.ports.installation_tokens import Permission
from tests.support.github_server import GitHubServer

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TOKEN = "token-of-mona"  # noqa: S105


async def test_the_servers_token_is_used_and_without_one_what_is_public_shows(tmp_path: Path) -> None:
    async with GitHubServer(tmp_path) as server:
        server.token(TOKEN, "mona")
        for name, private in (("acme/shop", False), ("acme/secret", True)):
            server.add(name, {"a.py": "1\n"}, people={"mona": "write"}, private=private)
        own = GitHubCodeHosts(server.api_url, lambda: NOW, token=TOKEN, app=None)
        async with own.of("acme/secret") as host:
            assert await host.latest_release("acme/secret") is None
            assert await host.may_write("acme/secret", "mona")
        anonymous = GitHubCodeHosts(server.api_url, lambda: NOW, token="", app=None)
        async with anonymous.of("acme/shop") as host:
            assert await host.latest_release("acme/shop") is None
        async with anonymous.of("acme/secret") as host:
            with pytest.raises(SourceRefuses):
                await host.get("acme/secret", 1)
        assert {call.token for call in server.calls} == {TOKEN, None}


class App:
    """An App whose tokens are those of mona; it counts how often it is asked for one of each repository."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.permissions: set[str] = set()

    async def issue(self, repository: str, permissions: Mapping[str, Permission]) -> str:
        self.issued.append(repository)
        self.permissions |= {f"{name}:{level}" for name, level in permissions.items()}
        return TOKEN


async def test_the_apps_token_is_of_one_repository_and_used_again_as_long_as_it_lives(tmp_path: Path) -> None:
    now = [NOW]
    async with GitHubServer(tmp_path) as server:
        server.token(TOKEN, "mona")
        for name in ("acme/shop", "acme/web"):
            server.add(name, {"a.py": "1\n"}, people={"mona": "write"}, private=True)
        app = App()
        hosts = GitHubCodeHosts(server.api_url, lambda: now[0], token="", app=app)
        for name in ("acme/shop", "acme/web", "acme/shop"):
            async with hosts.of(name) as host:
                assert await host.latest_release(name) is None
        assert app.issued == ["acme/shop", "acme/web"]
        now[0] += KEPT
        async with hosts.of("acme/shop"):
            assert app.issued == ["acme/shop", "acme/web", "acme/shop"]
        assert "contents:write" not in app.permissions
