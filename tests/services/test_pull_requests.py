"""What webhooks and the poll make of pull requests: the same, in whatever order they come."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.commands import NotePullRequest
from soulcaster.domain.fixes.fix import Fix, FixOptions, Target
from soulcaster.domain.fixes.github_events import PullRequestSeen, ReleasePublished
from soulcaster.domain.fixes.outcome import PullRequestState
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.lifecycle import Job, JobStep, advance, follows_pull_request, start
from soulcaster.ports.code_host import Release
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.pull_requests import PullRequests
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.project_config import PolicyConfig, ProjectConfig, StoredConfig
from tests.support.code_hosts import BRANCH, REPOSITORY, URL, Host, pull_request
from tests.support.make import NOW
from tests.support.publisher import RecordingPublisher
from tests.support.web import World

TARGET = Target(REPOSITORY, "main", "a" * 40)
MINUTE = timedelta(minutes=1)


def service(world: World, host: Host) -> PullRequests:
    read_model = world.read_model
    commands = ClusterCommands(world.publisher, read_model.commands)
    return PullRequests(world.publisher, read_model.jobs, read_model.project_config, commands, host, lambda: world.now)


def seen(sight: PullRequestSight, **more: Any) -> PullRequestSeen:
    return replace(PullRequestSeen(REPOSITORY, 12, URL, BRANCH, REPOSITORY, sight), **more)


def told(publisher: RecordingPublisher) -> list[NotePullRequest]:
    """The notes that were sent since the last call."""
    found = [m for m in publisher.sent if m.topic == "cluster.commands"]
    commands = [ClusterCommand.model_validate_json(m.value).command for m in found]
    publisher.sent.clear()
    return [command for command in commands if isinstance(command, NotePullRequest)]


async def policy(world: World, **fields: Any) -> None:
    config = ProjectConfig(policy=PolicyConfig(**fields))
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))


async def job(world: World, job_id: str = "j1") -> Job:
    found = await world.read_model.jobs.get(job_id)
    assert found is not None
    return found


async def test_the_life_of_a_pull_request_moves_job_and_cluster(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    pulls = service(world, Host())
    assert await pulls.saw("p1", seen(PullRequestSight("open", NOW)))
    [note] = told(world.publisher)
    assert (note.news, note.resolves, note.pull_request) == ("opened", False, "acme/shop#12")
    await pulls.saw("p1", seen(PullRequestSight("closed", NOW + MINUTE)))
    assert [note.news for note in told(world.publisher)] == ["closed"]
    assert (await job(world)).pr_state == "closed"
    await pulls.saw("p1", seen(PullRequestSight("open", NOW + 2 * MINUTE)))
    assert [note.news for note in told(world.publisher)] == ["reopened"]
    merged = PullRequestSight("merged", NOW + 3 * MINUTE, merged_at=NOW + 3 * MINUTE)
    await pulls.saw("p1", seen(merged))
    [note] = told(world.publisher)
    assert (note.news, note.resolves, note.happened_at) == ("merged", True, NOW + 3 * MINUTE)
    found = await job(world)
    assert (found.state, found.pr_state) == ("succeeded", "merged")
    assert found.pr_sight is not None
    assert found.pr_sight.shipped_at == NOW + 3 * MINUTE
    await pulls.saw("p1", seen(merged))
    assert world.publisher.sent == []


async def test_a_pull_request_of_a_stranger_changes_nothing(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    pulls = service(world, Host())
    merged = PullRequestSight("merged", NOW, merged_at=NOW)
    assert not await pulls.saw("p1", seen(merged, number=13, head_repository="stranger/shop"))
    assert not await pulls.saw("p2", seen(merged))
    assert world.publisher.sent == []


async def test_a_pull_request_whose_report_was_lost_is_noted_with_its_address(world: World) -> None:
    await world.fix("j1", "dead", target=TARGET)
    fix = (await job(world)).fix
    assert fix is not None
    await world.fix("j2", "approved", cluster="c1", target=TARGET)
    claim = JobStep("claim", "j2", "p1", "c1", 3, "launching", NOW, launch=1, offset=3)
    await world.read_model.writer.put_job_steps([claim])
    pulls = service(world, Host())
    assert await pulls.saw("p1", seen(PullRequestSight("open", NOW)))
    found = await job(world, "j2")
    assert (found.pr_url, found.pr_state, found.state) == (URL, "open", "launching")
    assert (await job(world, "j1")).pr_url is None  # it was never launched, so it has pushed nothing


async def test_jobs_that_go_on_with_a_pull_request_share_what_becomes_of_it(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    await world.fix("j2", "failed", target=TARGET, pr_url=URL)
    pulls = service(world, Host())
    await pulls.saw("p1", seen(PullRequestSight("merged", NOW, merged_at=NOW)))
    assert [note.news for note in told(world.publisher)] == ["merged"]
    assert [(await job(world, i)).pr_state for i in ("j1", "j2")] == ["merged", "merged"]


async def test_where_the_policy_says_so_a_fix_ships_with_the_release_after_the_merge(world: World) -> None:
    await policy(world, resolve_on="release")
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    host = Host()
    pulls = service(world, host)
    await pulls.saw("p1", seen(PullRequestSight("merged", NOW, merged_at=NOW)))
    assert [(note.news, note.resolves) for note in told(world.publisher)] == [("merged", False)]
    assert not await pulls.released("p1", ReleasePublished(REPOSITORY, NOW - MINUTE))
    assert not await pulls.released("p1", ReleasePublished("acme/other", NOW + MINUTE))
    assert not await pulls.released("p2", ReleasePublished(REPOSITORY, NOW + MINUTE))
    assert world.publisher.sent == []
    assert await pulls.released("p1", ReleasePublished(REPOSITORY, NOW + MINUTE))
    [note] = told(world.publisher)
    assert (note.news, note.resolves, note.happened_at) == ("released", True, NOW + MINUTE)
    assert not await pulls.released("p1", ReleasePublished(REPOSITORY, NOW + 2 * MINUTE))


async def test_the_poll_finds_what_webhooks_did_not_say(world: World) -> None:
    await policy(world, resolve_on="release")
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    host = Host(pull_request(), "failed")
    pulls = service(world, host)
    await pulls.look(await job(world))
    found = await job(world)
    assert (found.pr_state, found.pr_sight and found.pr_sight.checks) == ("open", "failed")
    assert [note.news for note in told(world.publisher)] == ["opened"]
    host.pull = pull_request(5, state="merged", merged_at=(NOW + 5 * MINUTE).isoformat())
    host.release = Release("v1", NOW + 4 * MINUTE)
    await pulls.look(await job(world))
    assert [note.news for note in told(world.publisher)] == ["merged"]
    host.release = Release("v2", NOW + 6 * MINUTE)
    await pulls.look(await job(world))
    assert [(note.news, note.happened_at) for note in told(world.publisher)] == [("released", NOW + 6 * MINUTE)]
    await pulls.look(await job(world))
    assert world.publisher.sent == []


async def test_of_changes_in_one_second_a_poll_sees_the_last_as_soon_as_the_second_is_long_over(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    pulls = service(world, Host(pull_request(state="closed")))
    await pulls.saw("p1", seen(PullRequestSight("open", NOW)))
    await pulls.look(await job(world))
    assert (await job(world)).pr_state == "open"  # it may have been opened again, and is looked at again
    world.now = NOW + timedelta(hours=1)
    await pulls.look(await job(world))
    assert (await job(world)).pr_state == "closed"
    await pulls.saw("p1", seen(PullRequestSight("open", NOW)))
    assert (await job(world)).pr_state == "closed"


async def test_a_webhook_and_a_poll_that_come_at_once_say_the_same(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    merged_at = NOW + 5 * MINUTE
    world.publisher.behind = True  # neither sees what the other has published
    pulls = service(world, Host(pull_request(5, state="merged", merged_at=merged_at.isoformat())))
    world.now = merged_at
    webhook = seen(PullRequestSight("merged", merged_at, merged_at=merged_at))
    await asyncio.gather(pulls.saw("p1", webhook), pulls.look(await job(world)), pulls.saw("p1", webhook))
    steps = [JobEvent.model_validate_json(m.value).id for m in world.publisher.sent if m.topic == "job.events"]
    notes = [command.id for command in told(world.publisher)]
    assert (len(steps), len(set(steps))) == (3, 1)
    assert (len(notes), len(set(notes))) == (3, 1)


async def test_who_dies_after_the_command_and_before_the_step_says_it_again(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    pulls = service(world, Host())
    merged = seen(PullRequestSight("merged", NOW, merged_at=NOW))
    world.publisher.behind = True
    await pulls.saw("p1", merged)
    [first] = told(world.publisher)
    await pulls.saw("p1", merged)
    assert told(world.publisher) == [first]


# ---- any order -------------------------------------------------------------------------------------------------------


class Log(RecordingPublisher):
    """The log of jobs with one job, which a reader sees when it is `shown`."""

    def __init__(self) -> None:
        super().__init__()
        fix = Fix("j1", "c1", "t", "kim", NOW, branch=BRANCH, options=FixOptions(target=TARGET))
        first = JobStep("0", "j1", "p1", "c1", 0, "succeeded", NOW, pr_url=URL, fix=fix, offset=0)
        self.steps = [first]
        self.job = start(first)

    def show(self) -> None:
        for message in self.sent:
            if message.topic == "job.events":
                self.steps.append(JobEvent.model_validate_json(message.value).step(len(self.steps)))
                self.job = advance(self.job, self.steps[-1])
        self.notes = [*getattr(self, "notes", []), *told(self)]

    async def of_branch(self, project_id: str, branch: str) -> Sequence[Job]:
        return (self.job,)

    async def followed(self) -> Sequence[Job]:
        return (self.job,) if follows_pull_request(self.job) else ()

    async def get(self, project_id: str) -> StoredConfig:
        return StoredConfig()


@st.composite
def lives(draw: st.DrawFn) -> list[PullRequestSight]:
    """The sights of a pull request's life, in order."""
    state, at = "open", NOW
    life = [PullRequestSight("open", at)]
    for change in draw(st.lists(st.sampled_from(["edit", "close", "reopen", "merge"]), max_size=6)):
        at += draw(st.integers(1, 90)) * timedelta(seconds=1)
        if state == "merged" or (state == "closed" and change in {"close", "merge"}):
            change = "edit"
        state = {"edit": state, "close": "closed", "reopen": "open", "merge": "merged"}[change]
        merged_at = at if change == "merge" else life[-1].merged_at
        life.append(PullRequestSight(_state(state), at, merged_at=merged_at))
    return life


@settings(max_examples=200, deadline=None)
@given(lives(), st.data())
async def test_webhooks_and_polls_in_any_order_end_in_the_truth(
    life: list[PullRequestSight], data: st.DataObject
) -> None:
    log = Log()
    now = life[-1].as_of

    def clock() -> datetime:
        return now

    host = Host()
    commands: Any = ClusterCommands(log, None)  # type: ignore[arg-type]
    pulls = PullRequests(log, log, log, commands, host, clock)  # type: ignore[arg-type]
    webhooks = data.draw(st.lists(st.sampled_from(life), max_size=8))
    polls = data.draw(st.lists(st.sampled_from(life), max_size=4))
    for by_poll, sight in data.draw(st.permutations([*((False, s) for s in webhooks), *((True, s) for s in polls)])):
        merged = log.job.pr_state == "merged"
        if by_poll:
            now = sight.as_of + data.draw(st.sampled_from([timedelta(0), timedelta(hours=1)]))
            host.pull = _pulled(sight)
            await pulls.look(log.job)
        else:
            await pulls.saw("p1", seen(sight))
        if data.draw(st.booleans()):
            log.show()
        assert not merged or log.job.pr_state == "merged"
    log.show()
    now = life[-1].as_of + timedelta(hours=1)
    host.pull = _pulled(life[-1])
    await pulls.look(log.job)
    log.show()
    assert log.job.pr_state == life[-1].state
    resolving = {note.id for note in log.notes if note.resolves}
    assert len(resolving) == (life[-1].state == "merged")


def _pulled(sight: PullRequestSight) -> Any:
    merged_at = None if sight.merged_at is None else sight.merged_at.isoformat()
    return pull_request(state=sight.state, merged_at=merged_at, updated_at=sight.as_of.isoformat())


def _state(name: str) -> PullRequestState:
    return "merged" if name == "merged" else "closed" if name == "closed" else "open"
