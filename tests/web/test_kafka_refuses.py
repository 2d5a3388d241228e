"""Kafka takes no messages, as with a full disk: every route that publishes says 503 and when to try again."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.fixes.plan import PlannedFix
from soulcaster.domain.lifecycle import JobState
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Record
from soulcaster.ports.projects import Project
from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.operation import Operation
from tests.support.answers import page, problem
from tests.support.make import NOW, uid
from tests.support.web import Client, FixedPlanner, World
from tests.web.test_roles import FORMS, ROUTES, STATES_OF_FORMS, address, signed_in

ITEM = {"source": "app", "external_id": "1", "text": "It crashes", "body": "It crashes"}
PLANNED = PlannedFix("Retry", "Try the request again.")
HERE = {"project_id": "p1"}
REPOSITORIES = {"version": 0, "repositories": ["a/b"]}
IDS = {
    "project_id": "p1",
    "owner": "a",
    "repo": "b",
    "cluster_id": "c1",
    "job_id": "j1",
    "command_id": "k1",
    "source": "reddit",
}
BODIES: Mapping[str, Any] = {
    "ingest_manual": {"text": "It crashes"},
    "ingest_feedback": ITEM,
    "ingest_reddit": {**ITEM, "title": "It crashes"},
    "sync_repository": {},
    "sync_repositories": {},
    "edit_feedback": {"title": "Another title"},
    "write_plan": {"title": "Retry", "description": "Try again."},
    "merge_clusters": {"cluster_ids": ["c2"]},
    "split_cluster": {"item_ids": [uid("i")]},
    "move_items": {"item_ids": [uid("i")]},
    "rename_cluster": {"title": "x"},
    "pin_cluster": {"pinned": True},
    "apply_proposals": {"proposal_ids": ["p"]},
    "configure_clustering": {"granularity": "fine"},
    "append_job_log": {"text": "a line\n"},
    "record_job": {"cluster_id": "c1"},
    "update_job": {"logs": "a line"},
    "create_api_key": {"name": "CI", "scopes": ["read"]},
    "create_user": {"email": "ada@example.com"},
    "create_project": {"name": "x", "user_id": "ckopqwooh000001l5h3a0e4ab"},
    "set_member": {"email": "ada@example.com", "role": "viewer"},
    "set_project_config": REPOSITORIES,
    "undo_command": {"command_id": "k1"},
    "set_subreddits": {"subreddits": ["myapp"]},
    "create_webhook_secret": {"source": "github"},
    "set_source_cursor": {"cursor": {}},
}
"""A body for each operation that takes one."""

JOB_STATES: Mapping[str, JobState] = {"approve_job": "queued", "start_fix": "failed", "run_agent": "failed"}
"""The state of the job, where that is not running."""

UNPUBLISHED = {"issue_credential", "end_session", "end_sessions"}
SIGNED = {"receive_sentry_webhook", "receive_github_webhook"}
"""Webhooks: tests/web/api/test_webhooks.py sends them."""

CHANGES = [one for one in OPERATIONS if one.method != "GET" and one.id not in UNPUBLISHED | SIGNED]
"""Every operation that publishes, but webhooks."""


@pytest.fixture
async def server(world: World) -> AsyncIterator[Client]:
    await world.fill()
    await world.fill(cluster="c2")
    await world.member("other", "viewer")
    await world.member("owner-1", "owner")
    async with TestClient(TestServer(world.app(planner=FixedPlanner(PLANNED)))) as client:
        yield client


@pytest.mark.parametrize("operation", CHANGES, ids=lambda one: one.id)
async def test_an_operation_says_when_to_try_again(world: World, server: Client, operation: Operation) -> None:
    await world.fix("j1", JOB_STATES.get(operation.id, "running"))
    if operation.id == "sync_repositories":
        assert (await server.put("/config/project", params=HERE, json=REPOSITORIES)).status < 300
    path = operation.path.format(**await _ids(world, operation))
    world.publisher.fail = KafkaUnavailable()
    answer = await server.request(operation.method, path, params=HERE, json=BODIES.get(operation.id, {}))
    await problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


FORM_ROUTES = [path for method, path in ROUTES if method == "POST"]


@pytest.mark.parametrize("path", FORM_ROUTES)
async def test_a_form_says_to_try_again(world: World, server: Client, path: str) -> None:
    token = await signed_in(world, server, "owner-1")
    form = path.rsplit("/", 1)[1]
    await world.fix("j1", STATES_OF_FORMS.get(form, "failed"))
    world.publisher.fail = KafkaUnavailable()
    answer = await server.post(address(path), data={**FORMS[form], "csrf_token": token}, allow_redirects=False)
    await page(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


async def _ids(world: World, operation: Operation) -> Mapping[str, str]:
    """Return what an operation's path names, and which exists."""
    found = await world.read_model.feedback.list("p1", limit=1, offset=0)
    ids = {**IDS, "item_id": found.items[0].item.id, "user_id": "other"}
    if operation.id == "replay_dead_letter":
        ids["letter_id"] = world.dead_letters.put(Record("feedback.raw", 0, 0, 0, b"p1", b'{"project_id": "p1"}')).id
    if operation.id == "revoke_api_key":
        await world.key("read")
        ids["key_id"] = (await world.read_model.api_keys.list("p1"))[0].key.id
    if operation.id == "remove_webhook_secret":
        ids["secret_id"] = (await world.webhooks().create("p1", "github", None, by="test")).secret.id
    if operation.id in {"poll_reddit", "trigger_poll"}:
        await world.read_model.writer.put_project(Project("p1", "One", NOW, "test"))
    return ids
