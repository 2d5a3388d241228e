"""A project stores so much feedback and no more; other projects do not notice."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.lifecycle import JobStep
from soulcaster.services import storage_limit
from tests.support.answers import problem
from tests.support.make import NOW, item, step
from tests.support.web import JOB_TOKENS, Client, World

FULL, ROOM = {"project_id": "p1"}, {"project_id": "p2"}
TEXT = {"text": "It does not start any more."}
ITEM = {"source": "manual", "body": "It does not start any more."}


@pytest_asyncio.fixture
async def crowded(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """The server on which a project may store 12,000 bytes, and p1 does."""
    monkeypatch.setattr(storage_limit, "CACHED_SECONDS", 0.0)
    await world.read_model.writer.put_items("p1", [item(n) for n in range(6)])
    async with TestClient(TestServer(world.app(stored_bytes=12_000))) as client:
        yield client


async def test_nothing_more_is_taken_and_the_answer_says_why(world: World, crowded: Client) -> None:
    stored = (await (await crowded.get("/stats", params=FULL)).json())["stored_bytes"]
    item_id = item(0).id
    for method, path, body in (
        ("POST", "/ingest/manual", TEXT),
        ("POST", "/ingest/feedback", ITEM),
        ("POST", "/ingest/feedback", {"items": [ITEM, ITEM]}),
        ("POST", "/ingest/sentry", {"event_id": "e1", "message": "It crashed", "project": "shop"}),
        ("POST", "/ingest/github/sync/acme/shop", None),
        ("PUT", f"/feedback/{item_id}", {"body": "It does not start, and I paid for it."}),
    ):
        sent = len(world.publisher.sent)
        said = await problem(await crowded.request(method, path, params=FULL, json=body), 429)
        detail = said["detail"]
        assert (detail["error"], detail["current_count"], detail["limit"]) == ("quota_exceeded", stored, 12_000), path
        assert "SOULCASTER_PROJECT_STORED_MEGABYTES" in detail["message"]
        assert len(world.publisher.sent) == sent
    assert (await crowded.post("/ingest/manual", params=ROOM, json=TEXT)).status == 202
    mixed = {"items": [ITEM | {"project_id": "p2"}, ITEM | {"project_id": "p1"}]}
    await problem(await crowded.post("/ingest/feedback", json=mixed), 429)


async def test_plans_and_jobs_take_room_too(world: World, crowded: Client) -> None:
    await world.fill()
    await world.read_model.writer.put_job_steps([step(0, "pending")])
    stored = (await (await crowded.get("/stats", params=FULL)).json())["stored_bytes"]
    for method, path, body in (
        ("POST", "/clusters/c1/plan", {"title": "Look", "description": "There."}),
        ("POST", "/jobs", {"cluster_id": "c1"}),
        ("PATCH", "/jobs/j1", {"logs": "reading"}),
    ):
        sent = len(world.publisher.sent)
        said = await problem(await crowded.request(method, path, params=FULL, json=body), 429)
        assert said["detail"]["current_count"] == stored, path
        assert len(world.publisher.sent) == sent
    asked = JobStep("a", "j2", "p1", "c1", 0, "approved", NOW, fix=Fix("j2", "c1", "Late card", "kim", NOW), offset=3)
    launched = JobStep("b", "j2", "p1", "c1", 1, "launching", NOW, launch=1, offset=7)
    await world.read_model.writer.put_job_steps([asked, launched])
    job = await world.read_model.jobs.get("j2")
    assert job is not None
    program = {"Authorization": f"Bearer {JOB_TOKENS.issue(job)}"}
    answer = await crowded.patch("/jobs/j2", headers=program, json={"logs": "done"})
    assert answer.status == 202, "a job's program has to be able to end its job"


async def test_what_is_deleted_makes_room(world: World, crowded: Client) -> None:
    assert (await crowded.delete(f"/feedback/{item(0).id}", params=FULL)).status == 202
    await world.read_model.writer.delete_items("p1", [item(0).id, item(1).id])
    assert (await crowded.post("/ingest/manual", params=FULL, json=TEXT)).status == 202
