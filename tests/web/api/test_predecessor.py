"""The calls of the predecessor's clients, as its dashboard, its poller and its tests send them.

Each test checks the parts of a response that these clients read. docs/api.md lists the intended differences under
"Differences from the predecessor". Clients that read a status only check that it is a 2xx.
"""

from typing import Any

import pytest
from aiohttp import ClientResponse

from soulcaster.domain.commands import StartFix
from soulcaster.domain.ids import item_id
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.feedback import RawFeedback
from tests.support.web import Client, World, item

PROJECT = "clx3f0000000108l4h3d5a1b2"
"""A CUID, as the dashboard's database makes them."""

USER = "clx3f0000000008l4h3d5a1b2"
HERE = f"?project_id={PROJECT}"
JSON = {"Content-Type": "application/json"}
FIX_HEADERS = {**JSON, "X-GitHub-Token": "gho_of_whoever_is_signed_in"}


async def ok(answer: ClientResponse) -> Any:
    """Return the JSON of an answer that a client takes for a success."""
    assert answer.ok, await answer.text()
    assert answer.content_type == "application/json"
    return await answer.json()


def posted(world: World) -> RawFeedback:
    [message] = world.publisher.sent
    assert message.topic == "feedback.raw"
    return RawFeedback.model_validate_json(message.value)


# ---- signing in, projects --------------------------------------------------------------------------------------------


async def test_the_dashboard_makes_the_project_of_who_signs_in(client: Client) -> None:
    assert (await ok(await client.get(f"/projects?user_id={USER}")))["projects"] == []
    body = {"project_id": PROJECT, "user_id": USER, "name": "Default Project"}
    for _ in range(2):  # at every sign-in
        answer = await client.post("/projects", json=body, headers=JSON)
        project = (await ok(answer))["project"]
        assert (project["id"], project["user_id"], project["name"]) == (PROJECT, USER, "Default Project")
    known = (await ok(await client.get(f"/projects?user_id={USER}")))["projects"]
    assert [project["id"] for project in known] == [PROJECT]


async def test_a_project_of_another_user_is_a_conflict(client: Client) -> None:
    for user, status in ((USER, 201), ("another", 409)):
        body = {"name": "Mine", "user_id": user, "project_id": PROJECT}
        answer = await client.post("/projects", json=body, headers=JSON)
        assert answer.status == status
    assert "already" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize("body", [{"email": "ada@example.com"}, {"email": None, "github_id": "4711"}])
async def test_a_user_and_a_default_project(client: Client, body: dict[str, Any]) -> None:
    made = await ok(await client.post("/users", json=body))
    assert made["user"]["email"] == body["email"]
    assert made["user"]["github_id"] == body.get("github_id")
    assert made["default_project"]["user_id"] == made["user"]["id"]
    assert made["default_project"]["name"] == "My Project"


# ---- feedback in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repo_url", [None, "https://github.com/acme/app"])
async def test_the_form_for_feedback(world: World, client: Client, repo_url: str | None) -> None:
    body = {"text": "The login button is broken on mobile."} | ({"github_repo_url": repo_url} if repo_url else {})
    said = await ok(await client.post(f"/ingest/manual{HERE}", json=body, headers=JSON))
    assert (said["status"], said["project_id"]) == ("ok", PROJECT)
    raw = posted(world)
    assert said["id"] == item_id(PROJECT, "manual", raw.external_id or "")
    assert (raw.source, raw.body, raw.github_repo_url) == ("manual", body["text"], repo_url)


POLLED = {
    "id": "0c2f6e3a-6a1d-4c7e-9f43-2f8b8f9d5b11",
    "source": "reddit",
    "external_id": "1abcde",
    "title": "Editor crashes",
    "body": "It closes when I open a scene.",
    "metadata": {
        "subreddit": "PlayCanvas",
        "permalink": "https://www.reddit.com/r/PlayCanvas/comments/1abcde/editor_crashes/",
        "author": "kim",
        "created_utc": 1763701200.0,
        "score": 3,
        "num_comments": 1,
        "url": "https://www.reddit.com/r/PlayCanvas/comments/1abcde/editor_crashes/",
    },
    "created_at": "2025-11-21T05:00:00+00:00",
}


async def test_the_poller_whose_project_is_the_keys(world: World, guarded: Client) -> None:
    """It names no project; there it was refused for that."""
    key = await world.key("ingest", project=PROJECT)
    world.publisher.sent.clear()
    said = await ok(await guarded.post("/ingest/reddit", json=POLLED, headers=key))
    assert said == {"status": "ok", "id": item_id(PROJECT, "reddit", "1abcde"), "project_id": PROJECT}
    raw = posted(world)
    assert (raw.external_id, raw.title, raw.body) == ("1abcde", POLLED["title"], POLLED["body"])
    assert raw.metadata == POLLED["metadata"]


async def test_an_item_of_reddit(world: World, client: Client) -> None:
    body = {
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "project_id": PROJECT,
        "source": "reddit",
        "external_id": "t3_12345",
        "title": "Bug in the system",
        "body": "It crashes when I do X",
        "metadata": {"subreddit": "test"},
        "created_at": "2023-10-27T10:00:00Z",
    }
    for sent in (body, body | {"id": "423e4567-e89b-12d3-a456-426614174000"}):
        assert (await ok(await client.post(f"/ingest/reddit{HERE}", json=sent)))["status"] == "ok"
    assert len({message.key for message in world.publisher.sent}) == 1  # one item
    assert (await client.post("/ingest/reddit", json=POLLED)).status == 400


# ---- feedback out ----------------------------------------------------------------------------------------------------


async def test_the_list_of_feedback(world: World, client: Client) -> None:
    empty = await ok(await client.get(f"/feedback{HERE}"))
    assert (empty["items"], empty["total"]) == ([], 0)
    first = item(
        "a", PROJECT, source="github", metadata={"repo": "acme/app", "github_issue_number": 7, "status": "open"}
    )
    others = [item(name, PROJECT, source="reddit", minutes=n) for n, name in enumerate("bcde")]
    await world.read_model.writer.put_items(PROJECT, [first, *others])
    shown = await ok(await client.get(f"/feedback{HERE}&limit=2&offset=2"))
    assert (len(shown["items"]), shown["total"], shown["limit"], shown["offset"]) == (2, 5, 2, 2)
    assert shown["project_id"] == PROJECT
    shown = await ok(await client.get(f"/feedback{HERE}&limit=50&offset=0&source=github&repo=acme%2Fapp"))
    [one] = shown["items"]
    wanted = {
        "id": first.id,
        "project_id": PROJECT,
        "source": "github",
        "external_id": "a",
        "title": first.title,
        "body": first.body,
        "repo": "acme/app",
        "github_issue_number": 7,
        "status": "open",
        "metadata": first.metadata,
    }
    assert {name: one[name] for name in wanted} == wanted
    assert one["created_at"]


async def test_one_item(world: World, client: Client) -> None:
    one = item("a", PROJECT, metadata={"key": "value"})
    await world.read_model.writer.put_items(PROJECT, [one])
    shown = await ok(await client.get(f"/feedback/{one.id}{HERE}"))
    assert (shown["id"], shown["title"], shown["metadata"]["key"]) == (one.id, one.title, "value")
    missing = await client.get(f"/feedback/9a0f5a52-8a55-4d5c-8a3e-7a0b4f1d2c66{HERE}")
    assert missing.status == 404
    assert "not found" in (await missing.json(content_type=None))["detail"].lower()


async def test_the_form_that_changes_an_item(world: World, client: Client) -> None:
    one = item("a", PROJECT)
    await world.read_model.writer.put_items(PROJECT, [one])
    body = {"body": "It has been three weeks now.", "github_repo_url": "https://github.com/acme/app"}
    said = await ok(await client.put(f"/feedback/{one.id}{HERE}", json=body, headers=JSON))
    assert said["status"] == "ok"
    assert {name: said["item"][name] for name in body} == body
    assert posted(world).body == body["body"]
    said = await ok(await client.put(f"/feedback/{one.id}{HERE}", json={}, headers=JSON))
    assert (said["status"], said["id"]) == ("ok", one.id)


async def test_figures(world: World, client: Client) -> None:
    await world.fill(PROJECT, "c1", 2, source="reddit")
    await world.fill(PROJECT, "c2", 1, source="sentry")
    shown = await ok(await client.get(f"/stats{HERE}"))
    assert (shown["total_feedback"], shown["total_clusters"], shown["project_id"]) == (3, 2, PROJECT)
    wanted = {"reddit": 2, "sentry": 1, "manual": 0, "github": 0}
    assert {source: shown["by_source"][source] for source in wanted} == wanted


# ---- clusters and fixes ----------------------------------------------------------------------------------------------

LISTED = {"id", "title", "summary", "count", "status", "sources", "project_id"}
OF_GITHUB = {"github_pr_url", "issue_title", "issue_description", "github_repo_url"}


async def test_the_list_of_clusters(world: World, client: Client) -> None:
    assert await ok(await client.get(f"/clusters{HERE}")) == []
    await world.fill(PROJECT, "c1", 2, source="reddit")
    [cluster] = await ok(await client.get(f"/clusters{HERE}"))
    assert cluster.keys() >= LISTED | OF_GITHUB
    assert (cluster["id"], cluster["count"], cluster["sources"], cluster["status"]) == ("c1", 2, ["reddit"], "new")


async def test_a_cluster(world: World, client: Client) -> None:
    items = await world.fill(PROJECT, "c1", 2)
    shown = await ok(await client.get(f"/clusters/c1{HERE}"))
    assert shown.keys() >= (LISTED | OF_GITHUB | {"github_branch", "error_message", "created_at", "updated_at"})
    assert {one["id"] for one in shown["feedback_items"]} == set(shown["feedback_ids"]) == {one.id for one in items}
    assert (await client.get(f"/clusters/9a0f5a52-8a55-4d5c-8a3e-7a0b4f1d2c66{HERE}")).status == 404


async def test_a_fix(world: World, client: Client) -> None:
    await world.fill(PROJECT, "c1")
    said = await ok(await client.post(f"/clusters/c1/start_fix{HERE}", headers=FIX_HEADERS))
    assert said["status"] == "ok"
    brief, message = world.publisher.sent
    command = ClusterCommand.model_validate_json(message.value).command
    assert isinstance(command, StartFix)
    assert (command.type, command.cluster_id) == ("start_fix", "c1")
    for sent in (brief, message):
        assert FIX_HEADERS["X-GitHub-Token"].encode() not in sent.value
    missing = await client.post(f"/clusters/none/start_fix{HERE}", headers=FIX_HEADERS)
    assert missing.status == 404
    assert (await missing.json(content_type=None))["detail"] == "Cluster not found"


async def test_a_plan(world: World, client: Client) -> None:
    await world.fill(PROJECT, "c1")
    missing = await client.get(f"/clusters/c1/plan{HERE}")
    assert missing.status == 404
    assert (await missing.json(content_type=None))["detail"] == "No plan found for this cluster"
    written = {"title": "Send it", "description": "Find where it waits."}
    made = await ok(await client.post(f"/clusters/c1/plan{HERE}", json=written))
    plan = await ok(await client.get(f"/clusters/c1/plan{HERE}"))
    assert plan == made
    assert {**written, "project_id": PROJECT, "cluster_id": "c1"}.items() <= plan.items()
    assert {"id", "created_at", "updated_at"} <= set(plan)


async def test_it_is_fixing_then(world: World, client: Client) -> None:
    await world.fill(PROJECT, "c1")
    await world.job("j1", "pending", project=PROJECT)
    assert (await ok(await client.get(f"/clusters/c1{HERE}")))["status"] == "fixing"


async def test_jobs(world: World, client: Client) -> None:
    assert await ok(await client.get(f"/jobs{HERE}")) == []
    await world.fill(PROJECT, "c1")
    pr_url = "https://github.com/acme/app/pull/7"
    await world.job("j1", "pending", "running", "success", project=PROJECT, pr_url=pr_url)
    for path in ("/jobs", "/clusters/c1/jobs"):
        [job] = await ok(await client.get(path + HERE))
        wanted = {"id": "j1", "project_id": PROJECT, "cluster_id": "c1", "status": "success", "pr_url": pr_url}
        assert {name: job[name] for name in wanted} == wanted
        assert job["created_at"] <= job["updated_at"]
    shown = await ok(await client.get(f"/jobs/j1{HERE}"))
    assert (shown["id"], shown["status"], shown["logs"]) == ("j1", "success", "line 0\nline 1\nline 2")


async def test_a_log_whose_chunks_are_joined(world: World, client: Client) -> None:
    await world.job("j1", "pending", "running", project=PROJECT)
    shown = await ok(await client.get(f"/jobs/j1/logs{HERE}"))
    assert (shown["job_id"], shown["project_id"], shown["source"]) == ("j1", PROJECT, "memory")
    assert "".join(shown["chunks"]) == "line 0\nline 1\n"
    assert (await client.get(f"/jobs/9a0f5a52-8a55-4d5c-8a3e-7a0b4f1d2c66/logs{HERE}")).status == 404


async def test_an_agent_that_tells_of_its_job(world: World, client: Client) -> None:
    await world.fill(PROJECT, "c1")
    made = await ok(await client.post(f"/jobs{HERE}", json={"cluster_id": "c1"}))
    assert (made["status"], made["project_id"]) == ("ok", PROJECT)
    job = f"/jobs/{made['job_id']}{HERE}"
    shown = await ok(await client.get(job))
    assert (shown["cluster_id"], shown["status"]) == ("c1", "pending")
    for body in ({"status": "running"}, {"logs": "Cloning the repository"}, {}):
        assert (await ok(await client.patch(job, json=body)))["status"] == "ok"
    shown = await ok(await client.get(job))
    assert shown["status"] == "running"
    assert shown["logs"].endswith("Cloning the repository")
    assert (await client.post(f"/jobs{HERE}", json={"cluster_id": "none"})).status == 404


# ---- Reddit ----------------------------------------------------------------------------------------------------------


async def test_subreddits(world: World, client: Client) -> None:
    shown = await ok(await client.get(f"/config/reddit/subreddits{HERE}"))
    assert (shown["subreddits"], shown["project_id"]) == (["all"], PROJECT)
    body = {"subreddits": [" Test ", "test", "OTHER"]}
    said = await ok(await client.post(f"/config/reddit/subreddits{HERE}", json=body, headers=JSON))
    assert (said["subreddits"], said["project_id"]) == (["test", "other"], PROJECT)
    assert (await ok(await client.get(f"/config/reddit/subreddits{HERE}")))["subreddits"] == ["test", "other"]
    refused = await client.post(f"/config/reddit/subreddits{HERE}", json={"subreddits": []}, headers=JSON)
    assert refused.status == 400
    assert (await refused.json(content_type=None))["detail"] == "At least one subreddit is required."


async def test_a_poll_is_triggered(client: Client) -> None:
    said = await ok(await client.post(f"/admin/trigger-poll{HERE}"))
    assert (said["status"], said["project_id"]) == ("ok", PROJECT)
    assert said["message"]


# ---- all of them -----------------------------------------------------------------------------------------------------

WITHOUT_A_PROJECT = [
    ("GET", "/stats"),
    ("GET", "/feedback"),
    ("GET", "/feedback/x"),
    ("GET", "/clusters"),
    ("GET", "/clusters/x"),
    ("GET", "/clusters/x/jobs"),
    ("GET", "/jobs"),
    ("GET", "/jobs/x"),
    ("GET", "/jobs/x/logs"),
    ("GET", "/clustering/status"),
    ("GET", "/config/reddit/subreddits"),
    ("POST", "/clusters/x/start_fix"),
    ("POST", "/admin/trigger-poll"),
]


@pytest.mark.parametrize(("method", "path"), WITHOUT_A_PROJECT)
async def test_the_project_is_required(client: Client, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status == 400
    assert (await answer.json(content_type=None))["detail"] == "project_id is required"


async def test_that_it_is_up(client: Client) -> None:
    assert (await ok(await client.get("/")))["status"] == "ok"
    shown = await ok(await client.get("/health"))
    assert (shown["status"], shown["storage"]) == ("healthy", "connected")
    assert shown["timestamp"]
