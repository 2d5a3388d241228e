import pytest

from soulcaster.adapters.redis import lists as redis_lists
from soulcaster.domain.events import ClusterChanged, ClusterMerged, ItemAssigned
from soulcaster.web.api.clusters.models import ClusterDetailOut, ClusterOut
from soulcaster.web.api.feedback.models import FeedbackListOut
from soulcaster.web.api.jobs.models import JobOut
from soulcaster.web.api.projects.models import StatsOut
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World, item

HERE = {"project_id": "p1"}


async def test_feedback_newest_first(world: World, client: Client) -> None:
    items = await world.fill(size=3)
    await world.read_model.writer.put_items("p1", [item("alone", source="reddit", minutes=9)])
    body = await (await client.get("/feedback", params=HERE)).json()
    FeedbackListOut.model_validate(body)
    assert {k: body[k] for k in ("total", "limit", "offset", "project_id")} == {
        "total": 4,
        "limit": 100,
        "offset": 0,
        "project_id": "p1",
    }
    assert [i["external_id"] for i in body["items"]] == ["alone", "c1-2", "c1-1", "c1-0"]
    assert body["items"][0]["cluster_id"] is None
    assert (body["items"][1]["clustered"], body["items"][1]["cluster_id"]) == (True, "c1")
    assert body["items"][3]["id"] == items[0].id


@pytest.mark.parametrize(
    ("query", "found", "total"),
    [
        ({"limit": "2", "offset": "1"}, ["c1-2", "c1-1"], 4),
        ({"source": "reddit"}, ["alone"], 1),
        ({"source": "Reddit"}, ["alone"], 1),
        ({"source": ""}, ["alone", "c1-2", "c1-1", "c1-0"], 4),
        ({"source": "sentry"}, [], 0),
        ({"cluster_id": "c1"}, ["c1-2", "c1-1", "c1-0"], 3),
        ({"cluster_id": "c1", "source": "reddit"}, [], 0),
        ({"offset": "1000000000"}, [], 4),
    ],
)
async def test_feedback_in_parts(
    world: World, client: Client, query: dict[str, str], found: list[str], total: int
) -> None:
    await world.fill(size=3)
    await world.read_model.writer.put_items("p1", [item("alone", source="reddit", minutes=9)])
    body = await (await client.get("/feedback", params=HERE | query)).json()
    assert [i["external_id"] for i in body["items"]] == found
    assert body["total"] == total


async def test_feedback_and_clusters_narrowed_down(world: World, client: Client) -> None:
    await world.fill(size=3)
    theirs = item(
        "7", source="github", title="Export", body="Nothing happens", minutes=9, metadata={"repo": "Acme/App"}
    )
    await world.read_model.writer.put_items("p1", [theirs])
    for query in (
        {"repo": "acme/app"},
        {"repo": "https://github.com/acme/App/"},
        {"q": "nothing EXPORT"},
        {"since": "2026-11-21T11:09:00Z"},
        {"since": "2026-11-21T12:09:00+01:00", "repo": "acme/app", "source": "github", "q": "export"},
    ):
        body = await (await client.get("/feedback", params=HERE | query)).json()
        assert [i["external_id"] for i in body["items"]] == ["7"], query
        assert (body["total"], body["next_cursor"]) == (1, None)
    await world.fill(cluster="c2", size=1, title="Lost card", source="reddit")
    await world.job("j1", "pending", cluster="c2")
    for query, found in (
        ({"status": "fixing"}, ["c2"]),
        ({"source": "manual", "q": "card"}, ["c1"]),
        ({"sort": "updated"}, ["c2", "c1"]),
        ({"q": "card people", "limit": "1"}, ["c1"]),
        ({"status": "failed"}, []),
    ):
        answer = await client.get("/clusters", params=HERE | query)
        assert [c["id"] for c in await answer.json()] == found, query
        assert ("X-Next-Cursor" in answer.headers) == ("limit" in query)
        assert answer.headers["X-Total-Count"] == str(len(found) + ("limit" in query))


async def test_where_not_all_was_looked_at_no_total_is_told(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_lists, "MOST_MEMBERS", 1)
    await world.fill(size=2)
    await world.fill(cluster="c2", size=1)
    body = await (await client.get("/feedback", params=HERE | {"q": "nix"})).json()
    assert (body["items"], body["total"]) == ([], None)
    FeedbackListOut.model_validate(body)
    again = await client.get("/feedback", params=HERE | {"q": "nix", "cursor": body["next_cursor"]})
    assert again.status == 200
    skipping = await (await client.get("/feedback", params=HERE | {"q": "card", "offset": "2"})).json()
    assert skipping["items"] == []
    assert (await client.get("/feedback", params=HERE | {"cursor": skipping["next_cursor"]})).status == 200
    answer = await client.get("/clusters", params=HERE | {"q": "nix"})
    assert "X-Total-Count" not in answer.headers
    assert "X-Next-Cursor" in answer.headers


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/feedback", "repo", "acme"),
        ("/feedback", "repo", "https://example.org/a/b"),
        ("/feedback", "since", "yesterday"),
        ("/feedback", "q", "x" * 201),
        ("/feedback", "cluster_id", "a:b"),
        ("/feedback", "source", "a b"),
        ("/clusters", "status", "done"),
        ("/clusters", "sort", "size"),
        ("/clusters", "source", "a b"),
        ("/clusters", "q", "x" * 201),
    ],
)
async def test_a_bad_filter_is_named(client: Client, path: str, name: str, value: str) -> None:
    details = await problem(await client.get(path, params=HERE | {name: value}), 422)
    assert [error["field"] for error in details["errors"]] == [name]


@pytest.mark.parametrize("path", ["/feedback", "/clusters", "/clusters/c1", "/jobs"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "1001"), ("limit", "x"), ("offset", "-1"), ("offset", "9" * 30), ("project_id", "a:b")],
)
async def test_a_bad_parameter_is_named(client: Client, path: str, name: str, value: str) -> None:
    details = await problem(await client.get(path, params=HERE | {name: value}), 422)
    assert [error["field"] for error in details["errors"]] == [name]


@pytest.mark.parametrize(
    "path",
    ["/feedback", "/feedback/x", "/clusters", "/clusters/x", "/stats", "/jobs", "/jobs/x"],
)
async def test_every_read_needs_a_project(client: Client, path: str) -> None:
    details = await problem(await client.get(path), 400)
    assert details["detail"] == "project_id is required"
    assert details["errors"][0]["field"] == "project_id"


async def test_one_item_as_the_predecessor_gave_it(world: World, client: Client) -> None:
    theirs = {
        "repo": "a/b",
        "github_issue_number": 7,
        "status": "open",
        "raw_text": "all",
        "github_issue_url": "https://x",
    }
    one = item("7", source="github", metadata={**theirs, "labels": ["bug"]})
    await world.read_model.writer.put_items("p1", [one])
    body = await (await client.get(f"/feedback/{one.id}", params=HERE)).json()
    assert body == {
        "id": one.id,
        "project_id": "p1",
        "source": "github",
        "external_id": "7",
        "title": "My card is late",
        "body": "It has been two weeks now.",
        "metadata": {**theirs, "labels": ["bug"]},
        "created_at": "2026-11-21T11:00:00Z",
        "received_at": "2026-11-21T11:00:00Z",
        "author": None,
        "url": None,
        "github_repo_url": None,
        "language": None,
        "updated_at": None,
        "occurrences": 1,
        "clustered": False,
        "cluster_id": None,
        "assignment": None,
        "cut": [],
        "times_told": None,
        **theirs,
    }


async def test_hostile_metadata_does_not_break_an_item(world: World, client: Client) -> None:
    one = item("7", metadata={"repo": ["a"], "github_issue_number": "x", "status": {}})
    await world.read_model.writer.put_items("p1", [one])
    answer = await client.get(f"/feedback/{one.id}", params=HERE)
    assert answer.status == 200
    assert (await answer.json())["repo"] is None


async def test_clusters_largest_first(world: World, client: Client) -> None:
    await world.fill(cluster="small", size=1, source="reddit")
    await world.fill(cluster="large", size=4)
    await world.fill(cluster="middle", size=2)
    answer = await client.get("/clusters", params=HERE)
    body = await answer.json()
    assert [c["id"] for c in body] == ["large", "middle", "small"]
    assert answer.headers["X-Total-Count"] == "3"
    ClusterOut.model_validate(body[0])
    assert body[2] == {
        "id": "small",
        "title": "Late card",
        "summary": "People wait for it",
        "count": 1,
        "status": "new",
        "sources": ["reddit"],
        "github_pr_url": None,
        "issue_title": None,
        "issue_description": None,
        "github_repo_url": None,
        "github_branch": None,
        "error_message": None,
        "project_id": "p1",
        "created_at": "2026-11-19T12:00:00Z",
        "updated_at": "2026-11-21T12:00:00Z",
        "terms": [],
        "coherence": None,
        "titled_by": "machine",
        "pinned": False,
        "parent_id": None,
        "theme_id": None,
    }
    answer = await client.get("/clusters", params=HERE | {"limit": "1", "offset": "1"})
    assert [c["id"] for c in await answer.json()] == ["middle"]
    assert answer.headers["X-Total-Count"] == "3"


async def test_one_cluster_and_its_items_in_parts(world: World, client: Client) -> None:
    items = await world.fill(size=3)
    await world.job("j1", "pending", "running", "failed")
    body = await (await client.get("/clusters/c1", params=HERE)).json()
    ClusterDetailOut.model_validate(body)
    newest_first = [i.id for i in reversed(items)]
    assert body["feedback_ids"] == [i["id"] for i in body["feedback_items"]] == newest_first
    assert (body["count"], body["total"], body["status"]) == (3, 3, "failed")
    part = await (await client.get("/clusters/c1", params=HERE | {"limit": "1", "offset": "2"})).json()
    assert part["feedback_ids"] == newest_first[2:]
    assert (part["count"], part["total"], part["limit"], part["offset"]) == (3, 3, 1, 2)


async def test_why_an_item_is_where_it_is(world: World, client: Client) -> None:
    one = item("7")
    await world.read_model.writer.put_items("p1", [one])
    why = ItemAssigned(
        one.id,
        one.created_at,
        "c1",
        change="joined",
        score=0.75,
        threshold=0.5,
        runner_up_id="c2",
        runner_up_score=0.25,
        rule="near",
        calibration=3,
        round=7,
        embedder="static@1",
        reason="<b>",
    )
    await world.read_model.writer.apply("p1", [why])
    body = await (await client.get(f"/feedback/{one.id}", params=HERE)).json()
    assert body["assignment"] == {
        "change": "joined",
        "score": 0.75,
        "threshold": 0.5,
        "runner_up_id": "c2",
        "runner_up_score": 0.25,
        "rule": "near",
        "calibration": 3,
        "round": 7,
        "embedder": "static@1",
        "reason": "<b>",
    }


async def test_a_merged_cluster_is_answered_with_the_other(world: World, client: Client) -> None:
    await world.fill(cluster="c1", size=2)
    await world.fill(cluster="c2", size=1)
    await world.job("j1", "pending", cluster="c2")
    full = ClusterChanged(
        "c1", "T", "S", 3, ("manual",), NOW, NOW, ("late", "card"), 0.5, "person", pinned=True, parent_id="c0"
    )
    await world.read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "<i>same</i>", 7, NOW, "k1"), full])
    body = await (await client.get("/clusters/c2", params=HERE)).json()
    ClusterDetailOut.model_validate(body)
    assert (body["id"], body["count"], body["total"], body["status"]) == ("c1", 3, 3, "fixing")
    assert {i["cluster_id"] for i in body["feedback_items"]} == {"c1"}
    assert (body["terms"], body["coherence"], body["titled_by"]) == (["late", "card"], 0.5, "person")
    assert (body["pinned"], body["parent_id"]) == (True, "c0")
    assert body["history"] == [
        {
            "kind": "merged",
            "by": "person",
            "reason": "<i>same</i>",
            "at": "2026-11-21T12:00:00Z",
            "other_id": "c2",
            "command_id": "k1",
            "url": None,
        }
    ]
    for path in ("/feedback", "/jobs"):
        of = [await (await client.get(path, params=HERE | {"cluster_id": c})).json() for c in ("c1", "c2")]
        assert of[0] == of[1] != []
    assert [c["id"] for c in await (await client.get("/clusters", params=HERE)).json()] == ["c1"]


async def test_stats(world: World, client: Client) -> None:
    await world.fill(cluster="c1", size=3)
    await world.fill(cluster="c2", size=2, source="intercom")
    await world.read_model.writer.put_items("p1", [item("alone", source="reddit")])
    await world.job("j1", "pending", "success", pr_url="https://github.com/a/b/pull/1")
    body = await (await client.get("/stats", params=HERE)).json()
    StatsOut.model_validate(body)
    assert 12_000 < body["stored_bytes"] < 18_000
    assert body == {
        "total_feedback": 6,
        "by_source": {"github": 0, "intercom": 2, "manual": 3, "reddit": 1, "sentry": 0},
        "unclustered": 1,
        "total_clusters": 2,
        "by_status": {"new": 1, "pr_opened": 1},
        "jobs": 1,
        "stored_bytes": body["stored_bytes"],
        "stored_bytes_limit": 1_000 * 1024 * 1024,
        "project_id": "p1",
    }


async def test_jobs_newest_first_and_one_with_its_logs(world: World, client: Client) -> None:
    await world.fill()
    await world.job("j1", "pending", "running", "success")
    await world.job("j2", "pending", cluster="c2")
    answer = await client.get("/jobs", params=HERE | {"cluster_id": "c1"})
    [listed] = await answer.json()
    assert answer.headers["X-Total-Count"] == "1"
    assert (listed["id"], listed["logs"]) == ("j1", None)
    assert len(await (await client.get("/jobs", params=HERE)).json()) == 2
    assert len(await (await client.get("/jobs", params=HERE | {"limit": "1", "offset": "1"})).json()) == 1
    body = await (await client.get("/jobs/j1", params=HERE)).json()
    JobOut.model_validate(body)
    unknown = {
        "runner", "plan_id", "brief_id", "blob_url", "attempt", "task", "repository", "base_branch", "base_commit",
        "branch", "stop_at", "budget_usd", "requested_by", "pr_state", "pr_checks", "pr_merged_at", "pr_shipped_at",
        "outcome",
    }  # fmt: skip
    assert body == dict.fromkeys(unknown) | {
        "id": "j1",
        "project_id": "p1",
        "cluster_id": "c1",
        "status": "success",
        "state": "succeeded",
        "launches": 0,
        "cost_usd": 0.0,
        "logs": "line 0\nline 1\nline 2",
        "pr_url": None,
        "error": None,
        "created_at": "2026-11-21T12:00:00Z",
        "updated_at": "2026-11-21T12:00:02Z",
    }


async def test_lists_of_an_unknown_project_are_empty(client: Client) -> None:
    nobody = {"project_id": "nobody"}
    assert (await (await client.get("/feedback", params=nobody)).json())["items"] == []
    assert await (await client.get("/clusters", params=nobody)).json() == []
    assert await (await client.get("/jobs", params=nobody)).json() == []
    assert (await (await client.get("/stats", params=nobody)).json())["total_feedback"] == 0


@pytest.mark.parametrize("unknown", ["nope", "j1:logs", "%00", "%ED%A0%80", "a" * 65, "c1%2F..", "é"])
@pytest.mark.parametrize("kind", ["feedback", "clusters", "jobs"])
async def test_what_is_not_there_is_404(world: World, client: Client, kind: str, unknown: str) -> None:
    await world.fill()
    await world.job("j1", "pending")
    answer = await client.get(f"/{kind}/{unknown}", params=HERE)
    assert answer.status == 404
    assert answer.content_type == "application/problem+json"


async def test_another_projects_things_are_404(world: World, client: Client) -> None:
    items = await world.fill(project="p2")
    await world.job("j1", "pending", project="p2")
    for path in (f"/feedback/{items[0].id}", "/clusters/c1", "/jobs/j1"):
        await problem(await client.get(path, params=HERE), 404)
        assert (await client.get(path, params={"project_id": "p2"})).status == 200


# ---- a job's log, a cluster's jobs -----------------------------------------------------------------------------------


async def test_a_log_line_by_line(client: Client, world: World) -> None:
    await world.job("j1", "pending", "running", "success")
    answer = await client.get("/jobs/j1/logs?project_id=p1")
    assert await answer.json() == {
        "job_id": "j1",
        "project_id": "p1",
        "source": "memory",
        "chunks": ["line 0\n", "line 1\n", "line 2\n"],
        "dropped": 0,
        "position": "0.3",
        "next": None,
    }
    assert (await client.get("/jobs/j1/logs?project_id=p2")).status == 404
    assert (await client.get("/jobs/nix/logs?project_id=p1")).status == 404


async def test_the_jobs_of_a_cluster(client: Client, world: World) -> None:
    await world.fill("p1", "c1")
    await world.fill("p1", "c2")
    await world.job("j1", "pending")
    await world.job("j2", "pending", "running", cluster="c2")
    answer = await client.get("/clusters/c2/jobs?project_id=p1")
    assert answer.headers["X-Total-Count"] == "1"
    assert [(job["id"], job["status"]) for job in await answer.json()] == [("j2", "running")]
    assert (await client.get("/clusters/c2/jobs?project_id=p2")).status == 404


# ---- cursors ---------------------------------------------------------------------------------------------------------


async def test_lists_say_where_they_go_on(client: Client, world: World) -> None:
    await world.fill("p1", "c1")
    await world.fill("p1", "c2", 1)
    first = await (await client.get("/feedback?project_id=p1&limit=2")).json()
    rest = await client.get("/feedback", params={"project_id": "p1", "limit": "2", "cursor": first["next_cursor"]})
    shown = [*first["items"], *(await rest.json())["items"]]
    assert len({one["id"] for one in shown}) == 4
    assert (await rest.json())["next_cursor"] is None
    top = await client.get("/clusters?project_id=p1&limit=1")
    cursor = top.headers["X-Next-Cursor"]
    second = await client.get("/clusters", params={"project_id": "p1", "limit": "1", "cursor": cursor})
    assert [one["id"] for one in await second.json()] == ["c2"]
    assert "X-Next-Cursor" not in second.headers


@pytest.mark.parametrize("cursor", ["x", "~", "x~", "x~y", "a b~1", "x~1|2", "x~nan", "x~1e9999"])
async def test_what_is_no_cursor_is_refused(client: Client, cursor: str) -> None:
    details = await problem(await client.get("/feedback", params={"project_id": "p1", "cursor": cursor}), 422)
    assert details["errors"][0]["field"] == "cursor"
