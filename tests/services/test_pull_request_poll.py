"""The poll of pull requests, and what it says on issues when a fix has shipped."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soulcaster.adapters.github.code_host import GitHubCodeHost
from soulcaster.adapters.github.code_hosts import GitHubCodeHosts
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.lifecycle import Job
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.pull_request_poll import PullRequestPoll
from soulcaster.services.pull_requests import PullRequests
from soulcaster.services.shipping import Shipping
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from tests.support.code_hosts import REPOSITORY, URL, Host, pull_request
from tests.support.github_answers import AT
from tests.support.github_server import GitHubServer
from tests.support.make import NOW, item
from tests.support.web import World

TARGET = Target(REPOSITORY, "main", "a" * 40)
MARKER = f"<!-- soulcaster shipped {REPOSITORY}#12 -->"


def poll_of(world: World, host: Any) -> PullRequestPoll:
    read_model = world.read_model
    configs, commands = read_model.project_config, ClusterCommands(world.publisher, read_model.commands)
    pulls = PullRequests(world.publisher, read_model.jobs, configs, commands, host, lambda: world.now)
    shipping = Shipping(read_model.feedback, configs, host)
    return PullRequestPoll(read_model.jobs, pulls, shipping, world.rate_limits, seconds=300)


async def configure(world: World, **fields: Any) -> None:
    config = ProjectConfig.model_validate(fields)
    await world.read_model.writer.put_project_config("p1", StoredConfig(1, config, NOW, "kim"))


async def job(world: World, job_id: str = "j1") -> Job:
    found = await world.read_model.jobs.get(job_id)
    assert found is not None
    return found


def merged(at: datetime = NOW) -> Any:
    return pull_request(state="merged", merged_at=at.isoformat())


def issue(number: int, *, repository: str = REPOSITORY, minutes: float = -60, **more: Any) -> FeedbackItem:
    metadata = {"repository": repository, "number": number}
    fields: dict[str, Any] = {"source": "github", "metadata": metadata, "minutes": minutes} | more
    return item(f"{repository}#{number}", **fields)


async def test_a_pull_request_is_followed_to_its_end_and_then_left_alone(world: World) -> None:
    await world.fill()
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    host = Host(checked="pending")
    poll = poll_of(world, host)
    await poll.look()
    found = await job(world)
    assert (found.pr_state, found.pr_sight and found.pr_sight.checks) == ("open", "pending")
    host.pull = merged()
    await poll.look()
    assert (await job(world)).pr_state == "merged"
    await poll.look()
    seen = host.calls.count("get")
    await poll.look()
    assert (host.calls.count("get"), await world.read_model.jobs.followed()) == (seen, ())
    assert host.comments == {}  # off by default


async def test_nothing_new_changes_nothing(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    poll = poll_of(world, Host())
    await poll.look()
    world.publisher.sent.clear()
    await poll.look()
    assert world.publisher.sent == []


async def test_jobs_that_share_a_pull_request_are_looked_at_once(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    await world.fix("j2", "running", target=TARGET, pr_url=URL)
    host = Host(merged())
    await poll_of(world, host).look()
    assert host.calls.count("get") == 1
    assert [(await job(world, i)).pr_state for i in ("j1", "j2")] == ["merged", "merged"]


@pytest.mark.parametrize("error", [SourceUnavailable("GitHub is away"), SourceRefuses("no such pull request")])
async def test_one_that_cannot_be_seen_keeps_no_other_from_it(world: World, error: Exception) -> None:
    class Half(Host):
        async def get(self, repository: str, number: int) -> Any:
            if number == 12:
                raise error
            return replace(self.pull, number=number)

    await world.fix("j1", "succeeded", cluster="c1", target=TARGET, pr_url=URL)
    await world.fix("j2", "succeeded", cluster="c2", target=TARGET, pr_url=URL.replace("12", "13"))
    host = Half(replace(merged(), head="acme:soulcaster/fix-c2-1"))
    await poll_of(world, host).look()
    assert [(await job(world, i)).pr_state for i in ("j1", "j2")] == ["open", "merged"]


async def test_an_owner_whose_limit_is_reached_is_left_alone_until_the_next_look(world: World) -> None:
    class Limited(Host):
        async def get(self, repository: str, number: int) -> Any:
            self.calls.append(repository)
            if repository == REPOSITORY:
                raise SourceLimited("later", NOW + timedelta(hours=1))
            return replace(self.pull, number=number)

    for n, repository in enumerate((REPOSITORY, REPOSITORY, "zoo/lion")):
        url = f"https://github.com/{repository}/pull/{n + 1}"
        target = replace(TARGET, repository=repository)
        await world.fix(f"j{n}", "succeeded", cluster=f"c{n}", target=target, pr_url=url)
    host = Limited(replace(merged(), head="zoo:soulcaster/fix-c2-1", head_repository="zoo/lion"))
    await poll_of(world, host).look()
    assert sorted(host.calls) == [REPOSITORY, "zoo/lion"]


async def test_only_one_launcher_looks_at_a_time(world: World) -> None:
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    host = Host()
    assert [await poll_of(world, host).look_in_turn() for _ in range(3)] == [True, False, False]
    world.now = NOW + timedelta(seconds=600)
    assert await poll_of(world, host).look_in_turn()


# ---- on issues -------------------------------------------------------------------------------------------------------


async def shipped(world: World, host: Host, *items: FeedbackItem) -> None:
    """Have a fix of a cluster of these items shipped, and look."""
    await world.fill()
    await world.read_model.writer.put_items("p1", items)
    await world.assign("c1", *items)
    await world.fix("j1", "succeeded", target=TARGET, pr_url=URL)
    host.pull = merged()
    poll = poll_of(world, host)
    await poll.look()
    await poll.look()


async def test_issues_of_the_projects_repositories_hear_once_that_a_fix_has_shipped(world: World) -> None:
    await configure(world, repositories=["Acme/Shop"], policy={"comment_on_issues": True})
    host = Host()
    told = [issue(1), issue(2)]
    others = [
        issue(3, repository="acme/other"),
        issue(4, minutes=5),  # from after it shipped
        issue(5, source="manual"),
        item("6", source="github", metadata={"repository": REPOSITORY, "number": "6"}),
    ]
    await shipped(world, host, *told, *others)
    body = f"A fix for this has shipped: {URL}. If the problem is still there, please say so here."
    assert host.comments == {("Acme/Shop", n, MARKER): body for n in (1, 2)}
    assert await world.read_model.jobs.followed() == ()


async def test_an_issue_that_takes_no_comment_keeps_no_other_from_it(world: World) -> None:
    class Locked(Host):
        async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
            if number == 1:
                raise SourceRefuses("it is locked")
            await super().comment(repository, number, body, marker=marker)

    await configure(world, repositories=[REPOSITORY], policy={"comment_on_issues": True})
    host = Locked()
    await shipped(world, host, issue(1), issue(2))
    assert [number for _, number, _ in host.comments] == [2]
    assert await world.read_model.jobs.followed() == ()


async def test_while_github_is_away_issues_wait(world: World) -> None:
    class Away(Host):
        away = True

        async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
            if self.away and number == 1:
                raise SourceUnavailable("GitHub is away")
            await super().comment(repository, number, body, marker=marker)

    await configure(world, repositories=[REPOSITORY], policy={"comment_on_issues": True})
    host = Away()
    await shipped(world, host, issue(1), issue(2))
    assert [j.id for j in await world.read_model.jobs.followed()] == ["j1"]
    host.away = False
    await poll_of(world, host).look()
    assert sorted(number for _, number, _ in host.comments) == [1, 2]
    assert await world.read_model.jobs.followed() == ()


# ---- over HTTP -------------------------------------------------------------------------------------------------------


async def test_over_github_itself_a_pull_request_is_followed_from_its_checks_to_the_comment_on_the_issue(
    world: World, tmp_path: Path
) -> None:
    branch, token = "soulcaster/fix-c1-1", "token-of-mona"
    async with GitHubServer(tmp_path, described=True) as server:
        server.token(token, "mona")
        server.add(REPOSITORY, {"a.py": "1\n"}, people={"mona": "write"})
        commit = server.git.commit(REPOSITORY, {"a.py": "2\n"}, branch=branch)
        hosts = GitHubCodeHosts(server.api_url, lambda: NOW, token=token, app=None)
        async with GitHubCodeHost(server.api_url, token, lambda: NOW) as host:
            made = await host.open(REPOSITORY, head=f"acme:{branch}", base="main", title="A fix", body="")
        number = server.add_issue(REPOSITORY, "carl", "A bug", "Words")["number"]
        server.add_check(REPOSITORY, commit, "tests", "failure")
        await configure(world, repositories=[REPOSITORY], policy={"comment_on_issues": True})
        await world.fill()
        before = datetime.fromisoformat(AT) - timedelta(days=1)
        told = replace(issue(number), created_at=before)
        await world.read_model.writer.put_items("p1", [told])
        await world.assign("c1", told)
        await world.fix("j1", "succeeded", target=TARGET, pr_url=made.url)
        poll = poll_of(world, hosts)
        await poll.look()
        found = await job(world)
        assert (found.pr_state, found.pr_sight and found.pr_sight.checks) == ("open", "failed")
        server.merge(REPOSITORY, made.number)
        for _ in range(4):
            await poll.look()
        bodies = [one["body"] for one in server.repositories[REPOSITORY].comments[number]]
    found = await job(world)
    assert (found.pr_state, found.pr_sight and found.pr_sight.shipped_at) == ("merged", datetime.fromisoformat(AT))
    assert [body.splitlines()[0] for body in bodies] == [
        f"A fix for this has shipped: {made.url}. If the problem is still there, please say so here."
    ]
    assert await world.read_model.jobs.followed() == ()
