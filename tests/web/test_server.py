import asyncio
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from soulcaster.web import problems
from soulcaster.web.api.health import handlers as health
from tests.support.answers import page, problem
from tests.support.web import Client, World

HERE = {"project_id": "p1"}


async def test_root_tells_a_program_that_it_is_up(client: Client) -> None:
    answer = await client.get("/")
    assert answer.status == 200
    assert await answer.json() == {"status": "ok", "service": "soulcaster"}


async def test_root_sends_a_browser_to_the_pages(client: Client) -> None:
    answer = await client.get("/", headers={"Accept": "text/html,*/*;q=0.8"}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, "/app")
    assert answer.headers["Vary"] == "Accept"


async def test_health(client: Client) -> None:
    body = await (await client.get("/health")).json()
    assert body == {
        "status": "healthy",
        "service": "soulcaster",
        "storage": "connected",
        "timestamp": "2026-11-21T12:00:00Z",
    }


async def test_ready(client: Client) -> None:
    answer = await client.get("/ready")
    assert answer.status == 200
    assert await answer.json() == {"status": "ready", "checks": {"kafka": "ok", "redis": "ok"}}


async def test_not_ready_without_kafka(world: World, client: Client) -> None:
    world.kafka.answers = False
    details = await problem(await client.get("/ready"), 503)
    assert details["checks"] == {"kafka": "no answer", "redis": "ok"}
    assert details["detail"] == "Kafka does not answer."


async def test_ready_never_hangs(fragile: World, fragile_client: Client) -> None:
    assert (await fragile_client.get("/ready")).status == 200
    fragile.kafka.hangs = True
    fragile.redis.freeze()
    began = time.monotonic()
    details = await problem(await fragile_client.get("/ready"), 503)
    assert time.monotonic() - began < health.CHECK_SECONDS + 1
    assert details["detail"] == "Kafka does not answer. Redis does not answer."


async def test_redis_killed_in_the_middle(fragile: World, fragile_client: Client) -> None:
    await fragile.fill()
    assert (await fragile_client.get("/clusters", params=HERE)).status == 200
    fragile.redis.kill()
    began = time.monotonic()
    for path in ("/clusters", "/clusters/c1", "/feedback", "/feedback/x", "/stats", "/jobs", "/jobs/x"):
        answer = await fragile_client.get(path, params=HERE)
        details = await problem(answer, 503)
        assert "Redis" in details["detail"]
        assert int(answer.headers["Retry-After"]) > 0
    await problem(await fragile_client.post("/clusters/c1/start_fix", params=HERE), 503)
    assert fragile.publisher.sent == []
    assert (await problem(await fragile_client.get("/ready"), 503))["checks"]["redis"] == "no answer"
    assert (await (await fragile_client.get("/health")).json())["storage"] == "disconnected"
    await page(await fragile_client.get("/app/sign-in?token=x"), 503)
    # The intake needs Kafka alone.
    assert (await fragile_client.post("/ingest/manual", params=HERE, json={"text": "x"})).status == 202
    assert time.monotonic() - began < 10


async def test_a_request_has_a_time_limit(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(problems, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(world.publisher, "publish", never)
    await problem(await client.post("/ingest/manual", params=HERE, json={"text": "x"}), 503)


async def test_unknown_routes_and_methods(client: Client) -> None:
    await problem(await client.get("/nope"), 404)
    answer = await client.delete("/clusters")
    await problem(answer, 405)
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


async def test_a_fault_of_ours_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password123")

    monkeypatch.setattr(world.read_model.projects, "stats", broken)
    async with TestClient(TestServer(world.app())) as client:
        answer = await client.get("/stats", params=HERE)
        assert "password123" not in await answer.text()
        await problem(answer, 500)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"])
async def test_loopback_hosts_are_answered(client: Client, host: str) -> None:
    assert (await client.get("/", headers={"Host": host})).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io"])
async def test_other_hosts_are_not(client: Client, host: str) -> None:
    await problem(await client.get("/clusters", params=HERE, headers={"Host": host}), 421)
    await page(await client.get("/app", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["", "local host", "a@localhost", "[localhost]", "localhost:x"])
async def test_a_malformed_host_is_400(client: Client, host: str) -> None:
    await problem(await client.get("/clusters", params=HERE, headers={"Host": host}), 400)


async def test_allowed_hosts_can_be_widened(world: World) -> None:
    async with TestClient(TestServer(world.app(allowed_hosts=["soulcaster.example"]))) as client:
        assert (await client.get("/", headers={"Host": "Soulcaster.example"})).status == 200
        await problem(await client.get("/", headers={"Host": "localhost"}), 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_foreign_page_cannot_post(world: World, client: Client, headers: dict[str, str]) -> None:
    await world.fill()
    await problem(await client.post("/clusters/c1/start_fix", params=HERE, headers=headers), 403)
    await problem(await client.post("/ingest/manual", params=HERE, json={"text": "x"}, headers=headers), 403)
    assert world.publisher.sent == []


async def test_our_own_page_can_post(world: World, client: Client) -> None:
    await world.fill()
    headers = {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
    assert (await client.post("/clusters/c1/start_fix", params=HERE, headers=headers)).status == 202


@pytest.mark.parametrize("name", ["", "nope.css", "a" * 5_000, "%00", "..%2fserver.py", "../../server.py", "%ff"])
async def test_there_is_no_other_file(client: Client, name: str) -> None:
    path = f"/app/static/{name}"
    for method in ("GET", "HEAD"):
        answer = await client.request(method, URL(path, encoded=True))
        assert answer.status in {401, 404}, (
            "whatever is below /app and is no file is a page for people who are signed in"
        )


@pytest.mark.parametrize("path", ["/", "/nope", "/clusters", "/app", "/app/static/soulcaster.css"])
async def test_every_answer_carries_the_headers(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == ("no-cache" if "static" in path else "no-store")


async def test_dependencies_are_arguments(world: World) -> None:
    one, other = world.app(), world.app()
    assert isinstance(one, web.Application)
    assert one is not other
