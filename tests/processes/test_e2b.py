from pathlib import Path

import pytest

from soulcaster.errors import BadInput
from soulcaster.processes.e2b import e2b_backend
from soulcaster.processes.settings import LauncherSettings
from tests.support.e2b_server import KEY, E2bServer
from tests.support.launch_backends import make_launch


async def test_the_settings_reach_e2b(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with E2bServer(tmp_path) as server:
        given = {"E2B_API_KEY": KEY, "KILOCODE_TEMPLATE_NAME": "kilo", "E2B_SANDBOX_TTL_SECONDS": "4000"}
        addresses = {"E2B_API_URL": server.url, "E2B_SANDBOX_URL": server.url}
        for name, value in {**given, **addresses}.items():
            monkeypatch.setenv(name, value)
        await e2b_backend(LauncherSettings()).launch(make_launch())
        [asked] = server.created_with
        assert (asked["templateID"], asked["timeout"]) == ("kilo", 4_000)
        [sandbox] = server.all_sandboxes
        assert "soulcaster fix run" in sandbox.scripts[0]["args"][-1]


def test_without_a_key_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("E2B_API_KEY", raising=False)
    with pytest.raises(BadInput, match="E2B_API_KEY"):
        e2b_backend(LauncherSettings())
