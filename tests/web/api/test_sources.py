"""How sources stand: a poller's cursor and word, and kicks."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.api_keys import KeyScope
from soulcaster.web.api.sources.models import PollOut, SourceOut
from soulcaster.wire.control import SourceKicked, SourceReported, control_message
from soulcaster.wire.project_config import RedditPolling
from tests.support import make
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


async def test_who_may_ingest_does_not_move_a_poller(guarded: Client, world: World) -> None:
    for headers in (await world.key("ingest"), await world.key("ingest", "read", "write", "launch")):
        details = await problem(await guarded.put("/sources/reddit/cursor", json=REPORT, headers=headers), 403)
        assert "poll" in details["detail"]
    assert await world.read_model.sources.list("p1") == ()


@pytest.mark.parametrize(("scopes", "may"), [(("ingest", "read"), True), (("ingest",), False), (("read",), False)])
async def test_a_pollers_key_from_before_the_scope_stays_valid(
    guarded: Client, world: World, scopes: tuple[KeyScope, ...], may: bool
) -> None:
    headers = await world.key("admin")
    made = await (await guarded.post("/keys", json={"name": "old", "scopes": scopes}, headers=headers)).json()
    record = next(m for m in world.publisher.sent if m.topic == "control" and b'"old"' in m.value)
    old = {name: value for name, value in json.loads(record.value).items() if name != "knows_poll"}
    await world.publisher.publish([replace(record, value=json.dumps(old).encode())])
    answer = await guarded.put("/sources/reddit/cursor", json=REPORT, headers={"X-API-Key": made["secret"]})
    assert answer.status == (202 if may else 403)
    [shown] = [one for one in await (await guarded.get("/keys", headers=headers)).json() if one["name"] == "old"]
    assert ("poll" in shown["scopes"]) == may


async def test_a_poller_needs_to_ingest_and_read(guarded: Client, world: World) -> None:
    headers = await world.key("ingest", "poll", "read")
    assert (await guarded.put("/sources/reddit/cursor", json=REPORT, headers=headers)).status == 202
    for path in ("/sources/reddit/cursor", "/config/reddit/subreddits"):
        assert (await guarded.get(path, headers=headers)).status == 200
    assert (await guarded.post("/reddit/poll", headers=headers)).status == 403


async def test_a_project_has_so_many_sources_and_no_more(world: World) -> None:
    async with TestClient(TestServer(world.app(sources_per_project=3))) as client:

        async def post(*sources: str, project: str = "p1") -> int:
            items = [{"source": source, "body": "late"} for source in sources]
            answer = await client.post("/ingest/feedback", params={"project_id": project}, json={"items": items})
            return answer.status

        assert await post("one", "two") == 202
        assert await post("four", "five", "six") == 409
        assert await post("three", "one", "reddit", "manual", "not a name") == 202
        before = len(world.publisher.sent)
        report = await client.put("/sources/four/cursor", params=HERE, json=REPORT)
        details = await problem(report, 409)
        assert "SOULCASTER_SOURCES_PER_PROJECT" in details["detail"]
        assert await post("four") == 409
        assert len(world.publisher.sent) == before
        assert await post("four", project="p2") == 202
        assert await post("three", "sentry") == 202
        assert (await client.put("/sources/reddit/cursor", params=HERE, json=REPORT)).status == 202


async def test_feedback_makes_so_many_projects_and_no_more(world: World) -> None:
    await world.read_model.writer.put_items("p1", [make.item("1")])
    async with TestClient(TestServer(world.app(projects_from_feedback=1))) as client:
        item = {"source": "x", "body": "late"}
        issue = {"action": "opened", "issue": {"id": 1, "title": "late"}}
        for path, body in (
            ("/ingest/feedback", item),
            ("/ingest/reddit", item),
            ("/ingest/manual", {"text": "late"}),
            ("/ingest/github", issue),
            ("/ingest/sentry", {"event_id": "1", "message": "late"}),
            ("/ingest/github/sync/acme/shop", None),
        ):
            details = await problem(await client.post(path, params={"project_id": "new"}, json=body), 409)
            assert "SOULCASTER_PROJECTS_FROM_FEEDBACK" in details["detail"], path
            assert (await client.post(path, params={"project_id": "p1"}, json=body)).status in {200, 202}, path
        mixed = {"items": [item | {"project_id": "p1"}, item | {"project_id": "new"}]}
        assert (await client.post("/ingest/feedback", json=mixed)).status == 409
    assert all(b'"new"' not in message.value for message in world.publisher.sent)


async def test_sources_that_are_stored_count_after_a_restart(world: World) -> None:
    for source in ("one", "two"):
        await world.read_model.writer.put_items("p1", [make.item(source, source=source)])
    async with TestClient(TestServer(world.app(sources_per_project=2))) as client:
        item = {"body": "late"}
        for source, status in (("three", 409), ("two", 202), ("one", 202)):
            answer = await client.post("/ingest/feedback", params=HERE, json=item | {"source": source})
            assert answer.status == status
