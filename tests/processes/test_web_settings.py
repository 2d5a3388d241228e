"""The web server refuses settings that do not go together before it listens."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet
from yarl import URL

from soulcaster.errors import BadInput
from soulcaster.processes.settings import Settings
from soulcaster.processes.web import create_app, run_web


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_calls_without_a_key_pass_on_loopback(host: str) -> None:
    settings(keyless=True, host=host).check_web()
    settings(keyless=True, host=host, public_url="http://localhost:8080").check_web()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.0.0.1", "soulcaster.example.com", "localhost.example.com"])  # noqa: S104
def test_and_nowhere_else(host: str) -> None:
    with pytest.raises(BadInput, match="loopback"):
        run_web(settings(keyless=True, host=host, session_key=Fernet.generate_key().decode()))
    settings(keyless=False, host=host).check_web()


def test_nor_behind_a_public_address() -> None:
    """A proxy on this machine would let everybody in."""
    with pytest.raises(BadInput, match="public address"):
        settings(keyless=True, public_url="https://soulcaster.example.com").check_web()


@pytest.mark.parametrize(
    "url", ["https://sc.example.com", "https://sc.example.com/", "http://sc:8080", "https://[::1]:1"]
)
def test_a_public_address(url: str) -> None:
    settings(public_url=url).check_web()


@pytest.mark.parametrize(
    "url",
    ["sc.example.com", "ftp://sc", "https://", "https://sc/app", "https://sc?x=1", "https://u:p@sc", "https://sc:port"],
)
def test_what_is_no_public_address(url: str) -> None:
    with pytest.raises(BadInput, match="SOULCASTER_PUBLIC_URL"):
        settings(public_url=url).check_web()


@pytest.mark.parametrize("name", ["github_id", "github_secret"])
def test_half_an_oauth_app_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="go together") as raised:
        settings(**{name: "given"}).check_web()
    assert "given" not in str(raised.value)


def test_who_may_sign_up() -> None:
    settings(sign_up="anyone").check_web()
    with pytest.raises(BadInput, match="members or anyone"):
        settings(sign_up="everyone").check_web()


def test_the_apps_secret_is_not_shown() -> None:
    given = settings(github_id="id", github_secret="hidden")  # noqa: S106
    assert "hidden" not in repr(given)
    assert "hidden" not in str(given.model_dump())


async def test_the_public_address_is_what_people_use() -> None:
    given = settings(
        public_url="https://sc.example.com",
        backend_url="http://web:8080",
        github_id="id",
        github_secret="hidden",  # noqa: S106
        session_key=Fernet.generate_key().decode(),
        secrets_key=Fernet.generate_key().decode(),
    )
    async with TestClient(TestServer(await create_app(given))) as client:
        ours = ("sc.example.com", "sc.example.com:443", "web:8080", "localhost")
        for host, status in (*((host, 200) for host in ours), ("other", 421)):
            assert (await client.get("/", headers={"Host": host})).status == status
        answer = await client.get("/app/sign-in/github", headers={"Host": "sc.example.com"}, allow_redirects=False)
        asked = URL(answer.headers["Location"])
        assert asked.query["redirect_uri"] == "https://sc.example.com/app/sign-in/github/callback"
        assert "Secure" in answer.headers["Set-Cookie"]
        assert (await client.get("/stats?project_id=p1", headers={"Host": "sc.example.com"})).status == 401
