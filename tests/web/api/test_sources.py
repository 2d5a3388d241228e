"""How sources stand: a poller's cursor and word, and kicks."""

from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.web.api.sources.models import PollOut, SourceOut
from soulcaster.wire.control import SourceKicked, SourceReported, control_message
from soulcaster.wire.project_config import RedditPolling
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
REPORT: dict[str, Any] = {
    "cursor": {"one/new": "t3_a", "seen": [1, 2.5, None]},
    "status": "failing",
    "polled_at": "2026-11-21T11:59:00Z",
    "last_error": "429 from www.reddit.com",
    "last_error_at": "2026-11-21T11:58:00Z",
}
NOTHING = {
    "last_received_at": None,
    "kicked_at": None,
    "status": None,
    "reported_at": None,
    "polled_at": None,
    "last_error": None,
    "last_error_at": None,
    "cursor": None,
    "project_id": "p1",
}


async def cursor(client: Client, source: str = "reddit", project: str = "p1") -> dict[str, Any]:
    answer = await client.get(f"/sources/{source}/cursor", params={"project_id": project})
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    SourceOut.model_validate(body)
    return body


async def test_what_a_poller_says_is_read_back(world: World, client: Client) -> None:
    todo = "Not connected: docs/sources.md has the steps."
    assert await cursor(client) == {"source": "reddit", "enabled": True, "connected": False, "to_do": todo, **NOTHING}
    answer = await client.put("/sources/Reddit/cursor", params=HERE, json=REPORT)
    assert answer.status == 202
    after = await cursor(client)
    assert await answer.json() == after
    todo = "Nothing yet: it is tried again by itself."
    assert after == {
        "connected": True,
        "to_do": todo,
        "source": "reddit", "enabled": True, **NOTHING, **REPORT, "reported_at": "2026-11-21T12:00:00Z"
    }  # fmt: skip
    [sent] = world.publisher.sent
    assert sent.key == b"source:p1:reddit"
    assert isinstance(control_message(sent.value), SourceReported)
    assert (await cursor(client, project="p2"))["cursor"] is None
    assert (await cursor(client, "github"))["cursor"] is None
    await client.put("/sources/reddit/cursor", params=HERE, json={"cursor": {}})
    assert await cursor(client) == {
        "source": "reddit", "enabled": True, "connected": True, "to_do": "", **NOTHING, "cursor": {}, "status": "ok",
        "reported_at": "2026-11-21T12:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "cursor"),
        ({"cursor": []}, "cursor"),
        ({"cursor": {"x": "y" * 16_384}}, "cursor"),
        ({"cursor": {}, "status": "odd"}, "status"),
        ({"cursor": {}, "last_error": "x" * 1001}, "last_error"),
        ({"cursor": {}, "polled_at": "yesterday"}, "polled_at"),
    ],
)
async def test_a_report_that_cannot_be_names_its_field(
    world: World, client: Client, body: dict[str, Any], field: str
) -> None:
    details = await problem(await client.put("/sources/reddit/cursor", params=HERE, json=body), 422)
    assert [error["field"] for error in details["errors"]] == [field]
    assert world.publisher.sent == []


@pytest.mark.parametrize("source", ["-x", "_x", "a" * 41, "a%20b", "a:b"])
async def test_what_is_no_source_is_not_there(client: Client, source: str) -> None:
    await problem(await client.get(f"/sources/{source}/cursor", params=HERE), 404)


async def test_all_sources_as_they_stand(world: World, client: Client) -> None:
    await world.fill(source="reviews")
    await world.read_model.writer.put_source_kick("p1", "reddit", NOW)
    body = {"version": 0, "sources": {"sentry": {"enabled": False}}}
    await client.put("/config/project", params=HERE, json=body)
    answer = await client.get("/sources", params=HERE)
    assert answer.headers["X-Total-Count"] == "4"
    found = {one["source"]: one for one in await answer.json()}
    assert list(found) == ["github", "reddit", "reviews", "sentry"]
    assert {name: one["enabled"] for name, one in found.items()} == {
        "github": True, "reddit": True, "reviews": True, "sentry": False
    }  # fmt: skip
    assert found["reviews"]["last_received_at"] == "2026-11-21T11:02:00Z"
    assert found["reddit"]["kicked_at"] == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize("path", ["/reddit/poll", "/admin/trigger-poll"])
async def test_a_kick_is_a_time_that_the_poller_sees(world: World, client: Client, path: str) -> None:
    await client.put("/sources/reddit/cursor", params=HERE, json=REPORT)
    await client.post("/config/reddit/subreddits", params=HERE, json={"subreddits": ["one", "two"]})
    world.now = NOW + timedelta(seconds=5)
    answer = await client.post(path, params=HERE)
    assert answer.status == 202
    body = await answer.json()
    PollOut.model_validate(body)
    assert body == {"status": "ok", "message": "Poll of 2 subreddits asked for", "project_id": "p1"}
    sent = world.publisher.sent[-1]
    assert sent.key == b"kick:p1:reddit"
    assert isinstance(control_message(sent.value), SourceKicked)
    after = await cursor(client)
    assert after["kicked_at"] == "2026-11-21T12:00:05Z"
    assert after["cursor"] == REPORT["cursor"]
    await client.put("/sources/reddit/cursor", params=HERE, json=REPORT)
    assert (await cursor(client))["kicked_at"] == "2026-11-21T12:00:05Z"
    await problem(await client.post(path), 400)


async def test_where_reddit_is_off_nobody_is_kicked(world: World, client: Client) -> None:
    await client.put("/config/project", params=HERE, json={"version": 0, "sources": {"reddit": {"enabled": False}}})
    sent = len(world.publisher.sent)
    answer = await client.post("/reddit/poll", params=HERE)
    assert (answer.status, (await answer.json())["status"]) == (200, "skipped")
    assert len(world.publisher.sent) == sent


async def test_where_no_subreddit_is_set_nobody_is_kicked(world: World) -> None:
    app = world.app(reddit=RedditPolling((), ("new",), 300))
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/reddit/poll", params=HERE)
        assert answer.status == 200
        assert await answer.json() == {"status": "skipped", "message": "No subreddits configured", "project_id": "p1"}
        assert world.publisher.sent == []


async def test_a_poller_needs_to_ingest_and_read(guarded: Client, world: World) -> None:
    headers = await world.key("ingest", "read")
    assert (await guarded.put("/sources/reddit/cursor", json=REPORT, headers=headers)).status == 202
    for path in ("/sources/reddit/cursor", "/config/reddit/subreddits"):
        assert (await guarded.get(path, headers=headers)).status == 200
    assert (await guarded.post("/reddit/poll", headers=headers)).status == 403
