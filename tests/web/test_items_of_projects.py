"""A project is sent so many items in a minute and no more, by whatever way they come."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.api_keys import KeyScope
from soulcaster.ports.messaging import Record
from soulcaster.processes.settings import WebSettings
from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.ingest.models import MAX_ITEMS
from soulcaster.wire.topics import FEEDBACK_RAW
from tests.support.answers import problem
from tests.support.make import NOW, NOW_MS
from tests.support.web import Client, World, item
from tests.support.webhooks import HEADER, SECRET, signature

HERE = {"project_id": "p1"}
WINDOW = 1_000
"""Items of ten seconds where a minute may have 6,000."""

ITEM = {"source": "manual", "body": "It does not start any more."}
STORED = item("stored")
SENTRY = {"event_id": "e1", "message": "It crashed", "project": "shop"}
ISSUE = {
    "action": "opened",
    "issue": {
        "id": 1,
        "number": 1,
        "title": "No way to pay",
        "state": "open",
        "html_url": "https://github.com/acme/shop/issues/1",
        "created_at": "2026-11-01T00:00:00Z",
        "updated_at": "2026-11-01T00:00:00Z",
    },
    "repository": {"full_name": "acme/shop"},
}

WAYS: Mapping[str, tuple[str, str, Any, KeyScope]] = {
    "ingest_manual": ("POST", "/ingest/manual", {"text": "It does not start any more."}, "ingest"),
    "ingest_feedback": ("POST", "/ingest/feedback", {"items": [ITEM, ITEM]}, "ingest"),
    "ingest_reddit": ("POST", "/ingest/reddit", {"title": "It does not start", "body": "Not any more."}, "ingest"),
    "receive_sentry_webhook": ("POST", "/ingest/sentry", SENTRY, "ingest"),
    "receive_github_webhook": ("POST", "/ingest/github", ISSUE, "ingest"),
    "sync_repository": ("POST", "/ingest/github/sync/acme/shop", None, "ingest"),
    "sync_repositories": ("POST", "/ingest/github/sync", None, "ingest"),
    "edit_feedback": ("PUT", f"/feedback/{STORED.id}", {"body": "It does not start, and I paid for it."}, "write"),
    "replay_dead_letter": ("POST", "/dead-letters/LETTER/replay", None, "write"),
}


@pytest_asyncio.fixture
async def bounded(world: World) -> AsyncIterator[Client]:
    """The server with 6,000 items a minute, which nobody may call without a key."""
    await world.rate_limits.close()
    world.rate_limits = world.limits(items=6 * WINDOW)
    world.now = NOW + timedelta(seconds=3)
    await world.read_model.writer.put_items("p1", [STORED])
    async with TestClient(TestServer(world.app(keyless=False))) as client:
        yield client


async def configured(world: World, client: Client) -> None:
    """Have the project follow a repository."""
    body = {"version": 0, "repositories": ["acme/shop"]}
    answer = await client.put("/config/project", params=HERE, json=body, headers=await world.key("admin"))
    assert answer.status == 202, await answer.text()


def test_every_way_in_of_the_scope_is_here() -> None:
    assert {op.id for op in OPERATIONS if op.scope == "ingest"} <= set(WAYS)


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_what_is_too_much_is_kept(world: World, bounded: Client, way: str) -> None:
    method, path, body, scope = WAYS[way]
    await configured(world, bounded)
    letter = world.dead_letters.put(Record(FEEDBACK_RAW.name, 0, 0, NOW_MS, b"p1", b'{"project_id": "p1"}'))
    headers, path = await world.key(scope), path.replace("LETTER", letter.id)

    async def send() -> ClientResponse:
        return await bounded.request(method, path, params=HERE, json=body, headers=headers)

    assert await world.rate_limits.take_sent("items", "p1", scope, WINDOW) == 0
    before = len(world.publisher.sent)
    refused = await send()
    said = await problem(refused, 429)
    assert "items" in said["detail"]
    assert refused.headers["Retry-After"] == "7"
    assert len(world.publisher.sent) == before
    world.now += timedelta(seconds=7)
    accepted = await send()
    assert accepted.status in {200, 202}, await accepted.text()
    assert any(message.topic == FEEDBACK_RAW.name for message in world.publisher.sent)


async def test_a_replayed_dead_letter_counts_with_its_bytes(world: World, bounded: Client) -> None:
    letter = world.dead_letters.put(Record(FEEDBACK_RAW.name, 0, 0, NOW_MS, b"p1", b'{"project_id": "p1"}'))
    assert await world.rate_limits.take_sent("bytes", "p1", "write", 1000 * 1024 * 1024) == 0
    path, write = f"/dead-letters/{letter.id}/replay", await world.key("write")
    await problem(await bounded.post(path, params=HERE, headers=write), 429)
    assert not any(message.topic == FEEDBACK_RAW.name for message in world.publisher.sent)


async def test_signed_webhooks_count_as_well(world: World, bounded: Client) -> None:
    await world.webhooks().create("p1", "sentry", SECRET, by="test")
    sent = b'{"event_id": "e1", "message": "It crashed", "project": "shop"}'
    headers = {"Content-Type": "application/json", HEADER["sentry"]: signature("sentry", sent)}
    assert await world.rate_limits.take_sent("items", "p1", "ingest", WINDOW - 1) == 0
    assert (await bounded.post("/ingest/sentry", params=HERE, data=sent, headers=headers)).status == 202
    await problem(await bounded.post("/ingest/sentry", params=HERE, data=sent, headers=headers), 429)


async def test_the_largest_batch_fits_and_a_batch_is_never_taken_in_part(world: World, bounded: Client) -> None:
    ingest, elsewhere = await world.key("ingest"), await world.key("ingest", project="p2")
    batch = {"items": [ITEM] * MAX_ITEMS}
    assert (await bounded.post("/ingest/feedback", json=batch, headers=ingest)).status == 202
    sent = len(world.publisher.sent)
    await problem(await bounded.post("/ingest/feedback", json={"items": [ITEM] * 2}, headers=ingest), 429)
    assert len(world.publisher.sent) == sent
    world.now += timedelta(seconds=7)
    assert (await bounded.post("/ingest/feedback", json={"items": [ITEM]}, headers=ingest)).status == 202
    await problem(await bounded.post("/ingest/feedback", json=batch, headers=ingest), 429)
    assert (await bounded.post("/ingest/feedback", json=batch, headers=elsewhere)).status == 202


async def test_the_local_owner_is_not_counted(world: World) -> None:
    await world.rate_limits.close()
    world.rate_limits = world.limits(items=6 * WINDOW)
    batch = {"items": [ITEM] * MAX_ITEMS}
    async with TestClient(TestServer(world.app())) as client:
        for _ in range(2):
            assert (await client.post("/ingest/feedback", params=HERE, json=batch)).status == 202


def test_the_lowest_limit_has_room_for_the_largest_batch() -> None:
    [least] = [one.ge for one in WebSettings.model_fields["project_items_per_minute"].metadata if hasattr(one, "ge")]
    assert least == 6 * MAX_ITEMS
