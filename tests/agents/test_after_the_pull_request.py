"""From GitHub's webhooks through all agents to what people see: merged, resolved, regressed; closed, free again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.fixes.fix import FixOptions, Target
from soulcaster.domain.fixes.github_events import PullRequestSeen, parse
from soulcaster.domain.lifecycle import JobStep
from soulcaster.ports.clusters import ClusterView
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.pull_requests import PullRequests
from soulcaster.wire.jobs import JobEvent
from tests.agents.test_deletion import Chain, said
from tests.support.agents import records
from tests.support.code_hosts import REPOSITORY, URL, Host, pull_request
from tests.support.github_webhooks import pull_request_event
from tests.support.make import NOW

TARGET = Target(REPOSITORY, "main", "a" * 40)
HOUR = timedelta(hours=1)


class Fixes(Chain):
    """The agents, and the programs that report on jobs."""

    def __init__(self, read_model: RedisReadModel) -> None:
        super().__init__(read_model)
        self.offset = 0

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Let the agents process what was published."""
        for topic in ("cluster.commands", "job.events"):
            for one in records(messages, topic):
                self.offset += 1
                numbered = replace(one, offset=self.offset)
                await self.cluster([numbered])
                if topic == "job.events":
                    await self.project([numbered])

    async def report(self, step: JobStep) -> None:
        await self.publish([Outgoing("job.events", b"p1", JobEvent.of(step).to_bytes())])

    def pulls(self, host: Host) -> PullRequests:
        read_model = self.read_model
        commands = ClusterCommands(self, read_model.commands)
        return PullRequests(self, read_model.jobs, read_model.project_config, commands, host, lambda: NOW + 9 * HOUR)

    async def shown(self) -> tuple[ClusterView, list[str]]:
        [cluster] = (await self.read_model.clusters.list("p1", limit=9, offset=0)).items
        return cluster, [entry.kind for entry in await self.read_model.clusters.history("p1", cluster.id)]


async def fixed(read_model: RedisReadModel) -> tuple[Fixes, Any]:
    """Return the agents after a job has opened a pull request, and the job."""
    chain = Fixes(read_model)
    await chain.send(said(1, "card late"), said(2, "card late"))
    cluster, _ = await chain.shown()
    await chain.ask("start_fix", cluster.id, options=FixOptions("local", TARGET))
    await chain.publish(chain.jobs)
    [job] = (await read_model.jobs.list("p1", limit=9, offset=0)).items
    at = NOW + HOUR
    for number, more in enumerate(({"state": "launching", "launch": 1}, {"state": "succeeded", "pr_url": URL}), 1):
        await chain.report(JobStep(f"s{number}", job.id, "p1", cluster.id, number, at=at, **more))  # type: ignore[arg-type]
    found = await read_model.jobs.get(job.id)
    assert found is not None
    assert (await chain.shown())[0].status == "pr_opened"
    return chain, found


def seen(action: str, hours: int, branch: str, *, merged: bool = False) -> Any:
    at = NOW + hours * HOUR
    found = parse("pull_request", pull_request_event(action, at=at, merged_at=at if merged else None, branch=branch))
    assert isinstance(found, PullRequestSeen)
    return found


async def test_a_merge_resolves_the_cluster_and_what_comes_after_it_makes_it_regressed(
    read_model: RedisReadModel,
) -> None:
    chain, job = await fixed(read_model)
    pulls = chain.pulls(Host())
    await pulls.saw("p1", seen("opened", 1, job.fix.branch))
    await pulls.saw("p1", seen("closed", 3, job.fix.branch, merged=True))
    cluster, history = await chain.shown()
    assert (cluster.status, history) == ("resolved", ["pr_merged", "pr_opened"])
    await chain.send(said(2 * 60 + 30, "card late"))  # said before the merge
    assert (await chain.shown())[0].status == "resolved"
    await chain.send(said(4 * 60, "card late"))
    cluster, history = await chain.shown()
    assert (cluster.status, history[0], cluster.size) == ("regressed", "regressed", 4)
    for again in (seen("closed", 3, job.fix.branch, merged=True), seen("closed", 2, job.fix.branch)):
        await pulls.saw("p1", again)
    assert (await chain.shown())[0].status == "regressed"
    await chain.ask("start_fix", cluster.id, options=FixOptions("local", TARGET), id="another")
    await chain.publish(chain.jobs[-1:])
    assert (await chain.shown())[0].status == "fixing"


async def test_feedback_that_came_while_nobody_knew_of_the_merge_makes_the_cluster_regressed_when_the_poll_sees_it(
    read_model: RedisReadModel,
) -> None:
    chain, job = await fixed(read_model)
    await chain.send(said(4 * 60, "card late"))
    at = NOW + 3 * HOUR
    host = Host(
        pull_request(state="merged", merged_at=at.isoformat(), updated_at=at.isoformat(), head=f"acme:{job.fix.branch}")
    )
    await chain.pulls(host).look(job)
    cluster, history = await chain.shown()
    assert (cluster.status, history) == ("regressed", ["regressed", "pr_merged"])


async def test_a_pull_request_that_is_closed_frees_the_cluster_for_another_fix(read_model: RedisReadModel) -> None:
    chain, job = await fixed(read_model)
    await chain.pulls(Host()).saw("p1", seen("closed", 3, job.fix.branch))
    cluster, history = await chain.shown()
    assert (cluster.status, history) == ("new", ["pr_closed"])
    await chain.ask("start_fix", cluster.id, options=FixOptions("local", TARGET), id="another")
    await chain.publish(chain.jobs[-1:])
    assert (await chain.shown())[0].status == "fixing"
