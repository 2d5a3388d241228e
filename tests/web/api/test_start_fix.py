from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.api_keys import KeyScope
from soulcaster.domain.commands import ApproveFix, StartFix
from soulcaster.domain.events import ClusterMerged
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.domain.ids import job_id_for
from soulcaster.domain.lifecycle import Job, JobState, JobStatus, JobStep
from soulcaster.errors import KafkaUnavailable
from soulcaster.services.job_tokens import JobTokens
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.answers import problem
from tests.support.make import NOW, item
from tests.support.web import FIXES, JOB_TOKENS, SECRETS_KEY, Client, World

HERE = {"project_id": "p1"}


async def test_a_fix_is_a_command_on_kafka(world: World, client: Client) -> None:
    await world.fill()
    answer = await client.post("/clusters/c1/start_fix", params=HERE)
    assert answer.status == 202
    document, message = world.publisher.sent
    assert (document.topic, message.topic, message.key) == ("job.documents", "cluster.commands", b"p1")
    envelope = ClusterCommand.model_validate_json(message.value)
    command = envelope.command
    assert isinstance(command, StartFix)
    assert (command.type, envelope.project_id, command.cluster_id) == ("start_fix", "p1", "c1")
    assert (command.requested_at, UUID(command.id).version) == (NOW, 5)
    assert await answer.json() == {
        "status": "ok",
        "message": "Fix asked for",
        "job_id": job_id_for(command.id),
        "command_id": command.id,
        "cluster_id": "c1",
        "project_id": "p1",
        "runner": "dry-run",
        "approved": True,
    }


@pytest.mark.parametrize("steps", [("pending",), ("pending", "running")])
async def test_409_while_a_fix_is_under_way(world: World, client: Client, steps: tuple[JobStatus, ...]) -> None:
    await world.fill()
    await world.job("j1", *steps)
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 409)
    assert world.publisher.sent == []


async def test_again_after_it_has_ended(world: World, client: Client) -> None:
    await world.fill()
    await world.job("j1", "pending", "failed")
    assert (await client.post("/clusters/c1/start_fix", params=HERE)).status == 202


async def test_a_fix_of_a_merged_cluster_is_the_others(world: World, client: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await world.job("j1", "pending", "failed", cluster="c1")
    first = await (await client.post("/clusters/c1/start_fix", params=HERE)).json()
    await world.read_model.writer.apply("p1", [ClusterMerged("c2", "c1", "person", "same", 1)])
    again = await (await client.post("/clusters/c2/start_fix", params=HERE)).json()
    assert again == first
    await world.job("j2", "pending", "failed", cluster="c2")
    after = await (await client.post("/clusters/c1/start_fix", params=HERE)).json()
    assert after["cluster_id"] == "c1"
    assert after["job_id"] != first["job_id"]


async def test_404_for_a_cluster_that_is_not_here(world: World, client: Client) -> None:
    await world.fill(project="p2")
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 404)
    await problem(await client.post("/clusters/nope/start_fix", params=HERE), 404)
    await problem(await client.post("/clusters/c1/start_fix"), 400)
    assert world.publisher.sent == []


async def test_503_while_kafka_is_away(world: World, client: Client) -> None:
    await world.fill()
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 503)


async def limited(world: World, **limits: int) -> dict[str, Any]:
    """Start a fix where these limits hold, and return the problem."""
    defaults = replace(FIXES, jobs_in_all=limits.pop("jobs_in_all", 100), limits=replace(FIXES.limits, **limits))
    async with TestClient(TestServer(world.app(fixes=defaults))) as client:
        answer = await client.post("/clusters/c2/start_fix", params=HERE)
        assert (answer.status, answer.content_type) == (429, "application/problem+json")
        return dict(await answer.json())


async def ordered(world: World, job_id: str, *states: JobState, project: str = "p1") -> None:
    """Put a job that was ordered into the read model, with these states."""
    fix = Fix(job_id, "c1", "T", "kim", NOW)
    steps = [JobStep(f"{job_id} {n}", job_id, project, "c1", n, state, NOW, fix=fix) for n, state in enumerate(states)]
    await world.read_model.writer.put_job_steps(steps)


@pytest.mark.parametrize("limits", [{"concurrent": 1}, {"per_day": 1}, {"jobs_in_all": 1}])
async def test_429_in_the_predecessors_form_at_a_limit(world: World, limits: dict[str, int]) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await ordered(world, "j1", "approved", "running")
    body = await limited(world, **limits)
    detail = body["detail"]
    assert (detail["error"], detail["current_count"], detail["limit"]) == ("quota_exceeded", 1, 1)
    assert detail["message"].endswith("; the limit is 1.")
    assert world.publisher.sent == []


async def test_jobs_of_other_projects_count_only_for_all(world: World, client: Client) -> None:
    await world.fill(cluster="c2")
    await ordered(world, "j1", "approved", project="p2")
    await ordered(world, "j2", "approved", "succeeded", project="p2")
    await ordered(world, "j3", "queued", project="p2")  # waits for a person
    await world.job("j4", "pending", project="p2")  # recorded by an agent of somebody's own
    assert (await limited(world, jobs_in_all=1))["detail"]["current_count"] == 1
    await ordered(world, "j1", "approved", "failed", project="p2")
    assert (await client.post("/clusters/c2/start_fix", params=HERE)).status == 202


async def test_409_for_a_muted_cluster(world: World, client: Client) -> None:
    await world.fill()
    await world.mark("c1", "muted")
    await problem(await client.post("/clusters/c1/start_fix", params=HERE), 409)


@pytest.mark.parametrize(
    ("policy", "asked", "scope", "expected"),
    [
        ("plan", "pr", "launch", "plan"),
        ("branch", "pr", "launch", "branch"),
        ("pr", "branch", "launch", "branch"),
        ("plan", "pr", "admin", "pr"),
    ],
)
async def test_only_an_admin_goes_farther_than_the_policy(
    world: World, guarded: Client, policy: str, asked: str, scope: KeyScope, expected: str
) -> None:
    await world.fill()
    config = ProjectConfig.model_validate({"policy": {"stop_at": policy}})
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    key = await world.key(scope)
    answer = await guarded.post("/clusters/c1/start_fix", params={"stop_at": asked}, headers=key)
    assert answer.status == 202
    command = ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command
    assert isinstance(command, StartFix)
    assert (command.options.stop_at, command.approved) == (expected, expected not in {"brief", "plan"})


async def test_the_program_of_a_job_that_does_not_show_yet_is_asked_to_wait(world: World, guarded: Client) -> None:
    job = Job("j9", "p1", "c1", "launching", 0, NOW, NOW, launch=1, fence=7, launched_at=NOW,
              fix=Fix("j9", "c1", "T", "kim", NOW))  # fmt: skip
    token = {"Authorization": f"Bearer {JOB_TOKENS.issue(job)}"}
    for call in (
        guarded.get("/jobs/j9", headers=token),
        guarded.get("/jobs/j9/brief", headers=token),
        guarded.patch("/jobs/j9", json={"state": "running"}, headers=token),
        guarded.post("/jobs/j9/logs", json={"text": "line"}, headers=token),
    ):
        await problem(await call, 503)


async def test_422_for_a_backend_that_is_not_set_up(world: World, client: Client) -> None:
    await world.fill()
    await problem(await client.post("/clusters/c1/start_fix", params=HERE | {"backend": "ecs"}), 422)


async def test_a_job_that_waits_is_approved_by_those_who_may(world: World, client: Client, guarded: Client) -> None:
    await world.fill()
    config = ProjectConfig.model_validate({"policy": {"approvers": "admin"}})
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    launch, admin = await world.key("launch"), await world.key("admin")
    world.publisher.sent.clear()
    answer = await guarded.post("/clusters/c1/start_fix", headers=launch)
    assert (await answer.json())["approved"] is False
    command = ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command
    assert isinstance(command, StartFix)
    assert not command.approved
    job_id = job_id_for(command.id)
    fix = Fix(job_id, "c1", "T", "kim", NOW, options=command.options)
    await world.read_model.writer.put_job_steps([JobStep("s", job_id, "p1", "c1", 0, "queued", NOW, fix=fix)])
    path = f"/jobs/{job_id}/approve"
    assert (await guarded.post(path, headers=launch)).status == 403
    assert (await guarded.post(path, headers=admin)).status == 202
    approved = ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command
    assert isinstance(approved, ApproveFix)
    assert (approved.job_id, approved.stop_at) == (job_id, "pr")
    await world.read_model.writer.put_job_steps([JobStep("t", job_id, "p1", "c1", 1, "approved", NOW, fix=fix)])
    await problem(await client.post(path, params=HERE), 409)


async def test_a_job_token_is_for_its_job_and_its_launch(world: World, guarded: Client) -> None:
    await world.fill()
    job = Job(
        "j1",
        "p1",
        "c1",
        "launching",
        0,
        NOW,
        NOW,
        launch=1,
        fence=7,
        launched_at=NOW,
        fix=Fix("j1", "c1", "T", "kim", NOW),
    )
    steps = [
        JobStep("a", "j1", "p1", "c1", 0, "approved", NOW, fix=job.fix, offset=3),
        JobStep("b", "j1", "p1", "c1", 1, "launching", NOW, launch=1, offset=7),
    ]
    await world.read_model.writer.put_job_steps(steps)
    token = {"Authorization": f"Bearer {JOB_TOKENS.issue(job)}"}
    answer = await guarded.patch("/jobs/j1", json={"state": "running", "cost_usd": 0.5}, headers=token)
    assert (answer.status, (await answer.json())["job"]["state"]) == (202, "running")
    event = JobEvent.model_validate_json(world.publisher.sent[-1].value)
    assert (event.token, event.state, event.cost_usd) == (7, "running", 0.5)
    assert (await guarded.get("/jobs/j1", headers=token)).status == 200
    assert (await guarded.get("/jobs/j2", headers=token)).status == 404
    assert (await guarded.get("/jobs", headers=token)).status == 403
    assert (await guarded.post("/jobs/j1/cancel", headers=token)).status == 403
    assert (await guarded.post("/clusters/c1/start_fix", headers=token)).status == 403
    forged = {"Authorization": f"Bearer {JobTokens('A' * 43 + '=', lambda: NOW).issue(job)}"}
    assert (await guarded.patch("/jobs/j1", json={"state": "running"}, headers=forged)).status == 401
    late = JobTokens(SECRETS_KEY, lambda: NOW).issue(replace(job, launched_at=NOW - timedelta(days=2)))
    assert (await guarded.get("/jobs/j1", headers={"Authorization": f"Bearer {late}"})).status == 401
    again = [
        JobStep("c", "j1", "p1", "c1", 2, "approved", NOW, token=7, offset=9),
        JobStep("d", "j1", "p1", "c1", 3, "launching", NOW, launch=2, token=7, offset=12),
    ]
    await world.read_model.writer.put_job_steps(again)
    for call in (
        guarded.patch("/jobs/j1", json={"state": "succeeded"}, headers=token),
        guarded.post("/jobs/j1/logs", json={"text": "late"}, headers=token),
    ):
        await problem(await call, 409)


@pytest.mark.parametrize(
    ("backend", "repositories", "rehearses"),
    [
        ("dry-run", (), False),
        ("local", (), True),
        ("local", ("acme/shop",), True),
    ],
)
async def test_a_job_that_can_change_nothing_says_so(
    world: World, client: Client, backend: str, repositories: tuple[str, ...], rehearses: bool
) -> None:
    await world.fill()
    config = ProjectConfig(repositories=repositories)
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    answer = await (await client.post("/clusters/c1/start_fix", params=HERE | {"backend": backend})).json()
    assert ("only rehearses" in answer["message"]) == rehearses
    command = ClusterCommand.model_validate_json(world.publisher.sent[-1].value).command
    assert isinstance(command, StartFix)
    assert (command.options.target is not None) == bool(repositories)


AGENT = AgentOrder("opencode", "some-model", "openai", usd_per_million=(1.0, 2.0))


async def test_with_a_coding_agent_a_project_without_a_repository_is_told_to_add_one(world: World) -> None:
    await world.fill()
    async with TestClient(TestServer(world.app(fixes=replace(FIXES, agent=AGENT, price_known=True)))) as client:
        asked = await client.post("/clusters/c1/start_fix", params=HERE | {"backend": "local"})
        said = await problem(asked, 409)
    assert "add one to its settings" in said["detail"]
    assert said["choices"] == []
    assert world.publisher.sent == []


@pytest.mark.parametrize(
    ("scope", "named", "keeps_tokens", "status"),
    [
        ("launch", (), False, 409),
        ("launch", ("Victim/Private",), False, 202),
        ("launch", (), True, 202),
        ("admin", (), False, 202),
    ],
)
async def test_the_servers_credential_changes_only_what_an_admin_named(
    world: World, scope: KeyScope, named: tuple[str, ...], keeps_tokens: bool, status: int
) -> None:
    claims = replace(item("claims", source="github"), metadata={"repository": "victim/private"})
    await world.fill()
    await world.read_model.writer.put_items("p1", [claims])
    await world.assign("c1", claims)
    await world.read_model.writer.put_project_config(
        "p1", StoredConfig(1, ProjectConfig(repositories=("acme/other", *named)), NOW, "kim")
    )
    fixes = replace(FIXES, keeps_tokens=keeps_tokens, github_token="" if keeps_tokens else "gh_of_the_server")
    async with TestClient(TestServer(world.app(fixes=fixes, keyless=False))) as client:
        answer = await client.post(
            "/clusters/c1/start_fix",
            params=HERE | {"backend": "local", "repository": "victim/private"},
            headers=await world.key(scope),
        )
        assert answer.status == status, await answer.text()
        if status == 409:
            assert "not in this project's settings" in (await answer.json())["detail"]


async def test_work_that_nobody_could_push_is_not_begun(world: World) -> None:
    await world.fill()
    config = ProjectConfig(repositories=("acme/shop",))
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))
    fixes = replace(FIXES, agent=AGENT, price_known=True, keeps_tokens=True)
    async with TestClient(TestServer(world.app(fixes=fixes))) as client:
        said = await problem(await client.post("/clusters/c1/start_fix", params=HERE | {"backend": "local"}), 409)
        assert "X-GitHub-Token" in said["detail"]
        assert (await client.post("/clusters/c1/start_fix", params=HERE)).status == 202, "the dry run pushes nothing"
        token, local = {"X-GitHub-Token": "ghp_of_kim"}, HERE | {"backend": "local"}
        assert (await client.post("/clusters/c1/start_fix", params=local, headers=token)).status == 202


async def test_a_model_whose_price_nobody_knows_starts_nothing(world: World) -> None:
    await world.fill()
    async with TestClient(TestServer(world.app(fixes=replace(FIXES, agent=AGENT)))) as client:
        said = await problem(await client.post("/clusters/c1/start_fix", params=HERE | {"backend": "local"}), 409)
    assert "SOULCASTER_MODEL_PRICES" in said["detail"]
