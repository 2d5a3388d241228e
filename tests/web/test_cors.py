"""Pages of other origins: those that are named may call the API, and nobody else."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.support.answers import problem
from tests.support.web import Client, World

FRIEND = "https://app.example.com"
PREFLIGHT = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}


@pytest.fixture
async def open_client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(world.app(cors_origins=(FRIEND,)))) as client:
        yield client


async def test_a_preflight_says_what_may_be_sent(open_client: Client) -> None:
    answer = await open_client.options("/ingest/manual", headers=PREFLIGHT)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_its_calls_are_answered_and_may_be_read(open_client: Client) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}
    posted = await open_client.post("/ingest/manual?project_id=p1", json={"text": "late"}, headers=headers)
    assert posted.status == 202
    refused = await open_client.get("/stats", headers=headers)
    await problem(refused, 400)
    for answer in (posted, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert answer.headers["Vary"] == "Origin"
    assert "X-Total-Count" in posted.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.com", f"{FRIEND}:8443", "null"])
async def test_no_other_origin_may(open_client: Client, origin: str) -> None:
    headers = {**PREFLIGHT, "Origin": origin}
    assert (await open_client.options("/ingest/manual", headers=headers)).status == 405
    answer = await open_client.post("/ingest/manual?project_id=p1", json={"text": "x"}, headers={"Origin": origin})
    await problem(answer, 403)
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_the_pages_are_for_no_other_origin(open_client: Client) -> None:
    answer = await open_client.post("/app/sign-out", headers={"Origin": FRIEND})
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_by_default_nobody_is_named(client: Client) -> None:
    assert (await client.options("/ingest/manual", headers=PREFLIGHT)).status == 405
