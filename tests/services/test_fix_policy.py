"""Which fixes a policy starts, on a real read model."""

from datetime import timedelta
from typing import Any

import pytest
import stamina

from soulcaster.adapters.gemini.planner import ATTEMPTS, GeminiPlanner
from soulcaster.domain.commands import StartFix
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.ids import job_id_for
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.errors import SourceUnavailable
from soulcaster.ports.projects import Project
from soulcaster.ports.repositories import BaseCommit
from soulcaster.services import fix_policy
from soulcaster.services.fix_policy import BY, STARTS_A_LOOK, FixPolicy
from soulcaster.web.dependencies import DEPENDENCIES
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.gemini import KEY, Gemini, error
from tests.support.make import NOW
from tests.support.web import EveryRepository, World


async def allow(world: World, project: str = "p1", **automatic: Any) -> None:
    """Set a project's policy; `policy` are its fields beside `automatic`, `repositories` those of the project."""
    repositories = automatic.pop("repositories", [])
    policy = {**automatic.pop("policy", {}), "automatic": {"enabled": True, "min_items": 2, **automatic}}
    config = ProjectConfig.model_validate({"policy": policy, "repositories": repositories})
    await world.read_model.writer.put_project_config(project, StoredConfig(1, config, NOW, "kim"))


async def look(world: World, **systems: Any) -> list[StartFix]:
    """Let the policies look, and return the commands that they sent; `systems` replace those of the world."""
    world.publisher.sent.clear()
    policy = FixPolicy(world.read_model, world.app(**systems)[DEPENDENCIES].fixes, lambda: world.now)
    started = await policy.look()
    found = [m for m in world.publisher.sent if m.topic == "cluster.commands"]
    sent = [ClusterCommand.model_validate_json(m.value).command for m in found]
    commands = [command for command in sent if isinstance(command, StartFix)]
    assert len(commands) == started
    return commands


async def show(world: World, command: StartFix, state: JobState = "succeeded") -> None:
    """Put the job of a command into the read model."""
    job_id = job_id_for(command.id)
    fix = Fix(job_id, command.cluster_id, "T", command.requested_by, NOW, options=command.options)
    step = JobStep(f"of {job_id}", job_id, "p1", command.cluster_id, 0, state, NOW, fix=fix)
    await world.read_model.writer.put_job_steps([step])


async def test_it_is_off_until_somebody_allows_it(world: World) -> None:
    await world.fill(size=50)
    assert await look(world) == []
    await allow(world, enabled=False)
    assert await look(world) == []


async def test_clusters_that_are_large_enough_get_a_fix_that_waits_for_approval(world: World) -> None:
    await world.fill(cluster="c1", size=9)
    await world.fill(cluster="c2", size=10)
    await world.fill(cluster="c3", size=11)
    await allow(world, min_items=10)
    commands = await look(world)
    assert [command.cluster_id for command in commands] == ["c3", "c2"]
    assert {(command.requested_by, command.approved) for command in commands} == {(BY, False)}


async def test_it_starts_at_once_where_no_approval_is_asked_for(world: World) -> None:
    await world.fill()
    await allow(world, approval=False)
    [command] = await look(world)
    assert command.approved
    await allow(world, approval=False, policy={"stop_at": "brief"})
    [command] = await look(world)
    assert not command.approved


async def test_a_model_that_is_away_keeps_only_the_fixes_waiting_that_need_a_plan(world: World, gemini: Gemini) -> None:
    for project in ("p1", "p2"):
        await world.read_model.writer.put_project(Project(project, project, NOW))
        await world.fill(project=project, cluster=f"c of {project}")
    await allow(world, "p1", policy={"stop_at": "plan"})
    await allow(world, "p2")
    planner = GeminiPlanner(KEY, model="gemini-3.8-flash", url=gemini.url)
    gemini.answers = [error(503, "UNAVAILABLE", "The model is overloaded.") for _ in range(ATTEMPTS)]
    with stamina.set_testing(True, attempts=100, cap=True):
        assert [command.cluster_id for command in await look(world, planner=planner)] == ["c of p2"]
        commands = await look(world, planner=planner)
    assert {command.cluster_id: command.options.plan_id is not None for command in commands} == {
        "c of p1": True,
        "c of p2": False,
    }
    await planner.close()


async def test_a_cluster_that_has_had_a_job_is_left_to_people(world: World) -> None:
    await world.fill()
    await allow(world)
    [command] = await look(world)
    await show(world, command)
    assert await look(world) == []


@pytest.mark.parametrize("triage", ["muted", "resolved"])
async def test_what_people_have_decided_about_is_left_alone(world: World, triage: Any) -> None:
    await world.fill()
    await world.mark("c1", triage)
    await allow(world)
    assert await look(world) == []


async def test_sources_age_and_growth(world: World) -> None:
    await world.fill(size=5)  # opened two days ago, its items are an hour old
    cases: list[tuple[dict[str, Any], int]] = [
        ({"sources": ("sentry",)}, 0),
        ({"sources": ("sentry", "manual")}, 1),
        ({"max_age_days": 1}, 0),
        ({"max_age_days": 3}, 1),
        ({"min_items_per_day": 6}, 0),
        ({"min_items_per_day": 5}, 1),
    ]
    for policy, expected in cases:
        await allow(world, **policy)
        assert len(await look(world)) == expected, policy
    world.now += timedelta(days=1)
    await allow(world, min_items_per_day=1)
    assert await look(world) == []


async def test_no_more_in_a_day_than_allowed(world: World) -> None:
    for name in ("c1", "c2", "c3"):
        await world.fill(cluster=name)
    await allow(world, jobs_per_day=2)
    first = await look(world)
    assert len(first) == 2
    for command in first:
        await show(world, command)
    assert await look(world) == []
    world.now += timedelta(days=1, seconds=1)
    assert len(await look(world)) == 1


async def test_the_limits_of_the_project_hold_for_it_too(world: World) -> None:
    for name in ("c1", "c2"):
        await world.fill(cluster=name)
    await allow(world, policy={"concurrent_jobs": 1})
    first, *_ = await look(world)
    await show(world, first, "running")
    assert await look(world) == []


async def test_one_project_that_cannot_does_not_keep_the_others_from_it(world: World) -> None:
    await world.fill(project="a", cluster="ca")
    await world.fill(project="p1", cluster="c1")
    await allow(world, project="a", policy={"backend": "nowhere"})
    await allow(world)
    assert [command.cluster_id for command in await look(world)] == ["c1"]


async def test_a_project_that_github_does_not_answer_for_does_not_keep_the_others_from_it(world: World) -> None:
    await world.fill(project="a", cluster="ca")
    await world.fill(project="p1", cluster="c1")
    await allow(world, project="a", policy={"backend": "local"}, repositories=["acme/gone"])
    await allow(world, policy={"backend": "local"}, repositories=["acme/shop"])
    assert [command.cluster_id for command in await look(world, repositories=GoneRepository())] == ["c1"]


class GoneRepository(EveryRepository):
    """A GitHub that does not answer for acme/gone."""

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        if repository == "acme/gone":
            raise SourceUnavailable("GitHub does not answer")
        return await super().base(repository, branch=branch, token=token)


async def test_what_a_project_wants_started_does_not_hold_up_another(world: World) -> None:
    for project in ("p1", "p2"):
        await world.read_model.writer.put_project(Project(project, project, NOW, "kim"))
        await allow(world, project, jobs_per_day=100)
    for number in range(STARTS_A_LOOK + 2):
        await world.fill(cluster=f"c{number}", size=10 + number)
    await world.fill("p2", cluster="mine")
    first = await look(world)
    assert len(first) == STARTS_A_LOOK + 1
    assert first[-1].cluster_id == "mine"
    for command in first:
        await show(world, command)
    assert {command.cluster_id for command in await look(world)} >= {"c0", "c1"}


async def test_a_look_searches_a_part_and_the_next_one_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix_policy, "CLUSTERS_AT_ONCE", 2)
    monkeypatch.setattr(fix_policy, "CLUSTERS_A_LOOK", 4)
    await allow(world, sources=["github"])
    for number in range(9):
        await world.fill(cluster=f"c{number}", size=20 - number)
    await world.fill(cluster="wanted", source="github")
    policy = FixPolicy(world.read_model, world.app()[DEPENDENCIES].fixes, lambda: world.now)
    assert [await policy.look() for _ in range(4)] == [0, 0, 1, 0]
