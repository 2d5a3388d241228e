"""No client of ours follows a redirect to another host: a key, or what somebody wrote, would go there."""

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import RawTestServer, TestServer
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from yarl import URL

import soulcaster
from soulcaster.adapters.aws.s3 import S3Archive
from soulcaster.adapters.e2b import E2bSandboxes
from soulcaster.adapters.gemini.client import GeminiClient, GeminiFailure
from soulcaster.adapters.github.app import GitHubApp
from soulcaster.adapters.github.calls import Calls
from soulcaster.adapters.github.issues import GitHubIssues
from soulcaster.adapters.github.repositories import GitHubRepositories
from soulcaster.adapters.github.sign_in import GitHubSignIn
from soulcaster.adapters.opentelemetry import OpenTelemetry
from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.errors import GitFailed, SoulcasterError
from soulcaster.fixer.git.program import Git, Remote
from soulcaster.fixer.job_client import JobAddress, job_client
from soulcaster.http_client import RedirectedAway, check_redirect, http_session
from soulcaster.pollers.api_client import ApiClient
from soulcaster.pollers.reddit_client import Credentials, RedditClient, RedditConfig
from tests.support.aws import lead_aws_to

GIVEN = "of somebody"
STATUSES = [301, 302, 303, 307, 308]


def now() -> datetime:
    return datetime.now(UTC)


class Thief:
    """A server that redirects to another one, which notes what it gets."""

    def __init__(self) -> None:
        self.status = 307
        self.asked: list[str] = []
        self.stolen: list[str] = []
        self.other = TestServer(self._app(self._steal))
        self.vendor = TestServer(self._app(self._redirect))

    @property
    def url(self) -> str:
        return str(self.vendor.make_url("")).rstrip("/")

    def _app(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        return app

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/within":
            return web.Response(status=307, headers={"Location": "/there"})
        if request.path == "/there":
            return web.Response(text="here")
        to = self.other.make_url(request.path_qs)
        return web.Response(status=self.status, headers={"Location": str(to)})

    async def _steal(self, request: web.Request) -> web.StreamResponse:
        self.stolen.append(f"{request.method} {request.path} {dict(request.headers)} {await request.text()}")
        return web.json_response({})


@pytest.fixture(params=STATUSES)
async def thief(request: pytest.FixtureRequest) -> AsyncIterator[Thief]:
    thief = Thief()
    thief.status = request.param
    async with thief.other, thief.vendor:
        yield thief


def key() -> str:
    made = generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


APP_KEY = key()


async def issues(url: str) -> None:
    async with GitHubIssues(url, now) as client:
        await client.page(client.first("o/r", state="open", since=None), token=GIVEN)


async def repositories(url: str) -> None:
    async with GitHubRepositories(url, now) as client:
        await client.base("o/r", branch=None, token=GIVEN)


async def calls(url: str) -> None:
    async with Calls(url, "secret", now, sleep=lambda _: asyncio.sleep(0)) as client:
        await client.read("/repos/o/r", "a repository")


async def changes(url: str) -> None:
    async with Calls(url, "secret", now) as client:
        await client.write("POST", "/repos/o/r/pulls", "a pull request", {"body": "secret"})


async def viewer(url: str) -> None:
    async with Calls(url, "secret", now, sleep=lambda _: asyncio.sleep(0)) as client:
        await client.viewer()


async def app(url: str) -> None:
    await GitHubApp("1", APP_KEY, url).issue("o/r", {"contents": "read"})


async def sign_in(url: str) -> None:
    await GitHubSignIn("id", "secret", url=url, api_url=url).person("code", "v" * 64, "https://x.example/back")


async def gemini(url: str) -> None:
    client = GeminiClient("secret", url=url, seconds=20)
    try:
        answer = await client.call(lambda models: models.embed_content(model="m", contents="secret"))
    finally:
        await client.close()
    assert isinstance(answer, GeminiFailure)
    raise SoulcasterError(answer.text)


async def e2b(url: str) -> None:
    await E2bSandboxes("e2b_" + "0" * 40, "t", api_url=url, sandbox_url=url).create("key", 60)


async def s3(_url: str) -> None:
    archive = S3Archive("bucket", tries=1)
    try:
        await archive.find("key")
    finally:
        await archive.close()


async def upstash(url: str) -> None:
    client = redis_client(RedisAccess(url.replace("http://", "http://:secret@")), timeout=20)
    try:
        await client.get("x")
    finally:
        await client.aclose()


async def poller(url: str) -> None:
    async with http_session() as session:
        await ApiClient(session, URL(url), "secret").post("p1", "x", [{"body": "secret"}])


async def job(url: str) -> None:
    async with job_client(JobAddress("j1", url, "secret")) as client:
        await client.report("running")


async def git(url: str, folder: Path) -> None:
    remote = Remote(f"{url}/o/r.git", "secret")
    await Git(folder)("ls-remote", remote.url, settings=remote.settings())


@pytest.mark.parametrize(
    "call", [issues, repositories, calls, changes, viewer, app, sign_in, gemini, e2b, s3, upstash, poller, job]
)
async def test_no_client_goes_to_another_host(
    thief: Thief, call: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_aws_to(thief.url, monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011  each raises what it raises when its server does not serve
        await call(thief.url)
    assert thief.asked
    assert thief.stolen == []


async def test_reddit_does_not_get_the_secret_of_our_application_elsewhere(thief: Thief) -> None:
    url = URL(thief.url)
    async with http_session() as session:
        config = RedditConfig(url, "kim", Credentials("id", "secret", url), None)
        await RedditClient(session, config, clock=lambda: 0.0).page("python", "new")
    assert thief.asked
    assert thief.stolen == []


async def test_git_does_not_go_to_another_host(thief: Thief, tmp_path: Path) -> None:
    with pytest.raises(GitFailed):
        await git(thief.url, tmp_path)
    assert thief.asked
    assert thief.stolen == []


async def test_traces_do_not_go_to_another_host(thief: Thief, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    traces = OpenTelemetry(thief.url, process="web", version="1")
    with traces.publishing(["t"], 1):
        pass
    await traces.close()
    assert thief.asked
    assert thief.stolen == []


async def test_a_redirect_within_a_host_is_followed(thief: Thief) -> None:
    async with http_session() as session, session.get(f"{thief.url}/within") as response:
        assert await read(response) == "here"
        with pytest.raises(RedirectedAway, match="is not followed"):
            await session.post(f"{thief.url}/elsewhere", data="secret")
    assert thief.stolen == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "javascript:1", "http://[::bad/", "http://a:99999/"])
async def test_a_redirect_to_what_is_no_address_is_an_error_of_the_server(location: str) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with RawTestServer(answer) as server, http_session() as session:
        with pytest.raises(RedirectedAway, match="no address, which is not followed"):
            await session.get(server.make_url("/"))


async def read(response: ClientResponse) -> str:
    return await response.text()


@pytest.mark.parametrize(
    ("address", "to", "stays"),
    [
        ("https://api.example/a", "https://api.example/b", True),
        ("http://api.example/a", "https://api.example/a", True),
        ("https://api.example/a", "http://api.example/a", False),
        ("https://api.example/a", "https://api.example:8443/a", False),
        ("https://api.example/a", "https://api.example.evil.example/a", False),
        ("https://api.example/a", "https://evil.example/a", False),
        ("https://api.example/a", "https://user:word@api.example/a", True),
        ("https://api.example/a", "file:///etc/passwd", False),
        ("https://api.example/a", "mailto:a@api.example", False),
    ],
)
def test_which_redirect_stays(address: str, to: str, stays: bool) -> None:
    if stays:
        check_redirect(URL(address), URL(to))
        return
    with pytest.raises(RedirectedAway):
        check_redirect(URL(address), URL(to))


def test_every_session_is_made_in_one_place() -> None:
    """bench/ asks servers on this machine that it has started itself."""
    root = Path(soulcaster.__file__).parent
    makers = [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"aiohttp.ClientSession", "ClientSession"}
    ]
    assert {maker for maker in makers if not maker.startswith("bench/")} == {"http_client.py"}
