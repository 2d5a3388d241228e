"""GitHub with the server's own credential."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from soulcaster.adapters.github.code_hosts import GitHubCodeHosts
from soulcaster.errors import SourceRefuses
from tests.support.github_server import GitHubServer

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TOKEN = "token-of-mona"  # noqa: S105


async def test_the_servers_token_is_used_and_without_one_what_is_public_shows(tmp_path: Path) -> None:
    async with GitHubServer(tmp_path) as server:
        server.token(TOKEN, "mona")
        for name, private in (("acme/shop", False), ("acme/secret", True)):
            server.add(name, {"a.py": "1\n"}, people={"mona": "write"}, private=private)
        own = GitHubCodeHosts(server.api_url, lambda: NOW, token=TOKEN)
        async with own.of("acme/secret") as host:
            assert await host.latest_release("acme/secret") is None
            assert await host.may_write("acme/secret", "mona")
        anonymous = GitHubCodeHosts(server.api_url, lambda: NOW, token="")
        async with anonymous.of("acme/shop") as host:
            assert await host.latest_release("acme/shop") is None
        async with anonymous.of("acme/secret") as host:
            with pytest.raises(SourceRefuses):
                await host.get("acme/secret", 1)
        assert {call.token for call in server.calls} == {TOKEN, None}
