"""What becomes of the pull requests of jobs: sights of them in, steps of jobs and commands on clusters out.

Webhooks and the poll bring sights of the same pull request, twice, late and in any order. Both come to the same steps
and commands: what is new follows from what jobs know (`domain.fixes.pull_request_news`), and ids follow from that.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from soulcaster.domain.commands import NotePullRequest
from soulcaster.domain.feedback.times import is_credible
from soulcaster.domain.fixes.github_events import PullRequestSeen, ReleasePublished
from soulcaster.domain.fixes.pull_request_news import Note, is_of, known_of, notes, pull_request_of, shipped
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight, after
from soulcaster.domain.ids import pull_request_note_id
from soulcaster.domain.lifecycle import Job, waits_to_ship
from soulcaster.errors import SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import CodeHosts, PullRequest, PullRequestHost
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.job_steps import JobSteps

SETTLED = timedelta(minutes=1)
"""A pull request that changed so long ago changes no more as of that second."""

AFTER_ITS_SECOND = timedelta(milliseconds=500)
"""GitHub's times are whole seconds: what a poll sees after one is newer than all that webhooks say of it."""

log = structlog.get_logger(__name__)


class PullRequests:
    """Notes what becomes of pull requests."""

    def __init__(
        self,
        publisher: Publisher,
        jobs: JobReader,
        configs: ProjectConfigReader,
        commands: ClusterCommands,
        hosts: CodeHosts,
        clock: Clock,
    ) -> None:
        self._steps = JobSteps(publisher, clock)
        self._jobs = jobs
        self._configs = configs
        self._commands = commands
        self._hosts = hosts
        self._clock = clock

    async def jobs_of(self, project_id: str, seen: PullRequestSeen) -> Sequence[Job]:
        """Return the jobs whose pull request this is, oldest first.

        Raises:
            Unavailable: Redis does not answer.
        """
        found = await self._jobs.of_branch(project_id, seen.branch)
        reported = [job for job in found if is_of(seen, job)]
        return sorted(reported, key=lambda job: (job.created_at, job.id))

    async def is_open(self, project_id: str, repository: str, number: int) -> bool:
        """Return whether it is the open pull request of a job of the project, as far as we know without asking.

        Raises:
            Unavailable: Redis does not answer.
        """
        return any(
            job.project_id == project_id and job.pr_state == "open" and _names(job, repository, number)
            for job in await self._jobs.followed()
        )

    async def saw(self, project_id: str, seen: PullRequestSeen) -> bool:
        """Publish what a sight of a pull request changes; return whether it is one of ours.

        A time in it that cannot be true counts as that of now: else a state would be newer than all that follow, and a
        cluster resolved against all feedback to come.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        jobs = await self.jobs_of(project_id, seen)
        if not jobs:
            return False
        policy = (await self._configs.get(project_id)).config.policy
        known = known_of(jobs)
        now = after(known, self._credible(seen.sight))
        now = after(now, shipped(now, policy.resolve_on))
        # Commands before steps: who dies in between has changed no job, so the next sight says it all again.
        news = notes(known, now)
        for note in news:
            await self._commands.send(project_id, self._command(jobs[0], seen, note))
        for job in jobs:
            await self._publish(job, seen, now, news)
        return True

    async def released(self, project_id: str, release: ReleasePublished) -> bool:
        """Publish what a release ships; return whether it ships anything that waited for it.

        What was merged before it was published counts as part of it.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        published_at = self._credible_time(release.published_at)
        release = replace(release, published_at=published_at)
        ships = False
        for job in await self._jobs.followed():
            if job.project_id == project_id and _is_in(release, job) and job.pr_sight is not None:
                ships |= await self.saw(project_id, _seen_again(job, published_at))
        return ships

    async def look(self, job: Job) -> None:
        """Ask the code host about the pull request of a job, and publish what is new.

        Raises:
            SourceRefuses: the host shows no such pull request, or we have no credential for the repository.
            Unavailable: the host, Kafka or Redis does not answer.
        """
        reported = pull_request_of(job)
        if reported is None or job.fix is None:
            return
        repository, number = reported
        async with self._hosts.of(repository) as host:
            seen = seen_on(host_view := await host.get(repository, number), repository, job.fix.branch, self._clock())
            sight = seen.sight
            if sight.state == "open":
                sight = replace(sight, checks=await host.checks(repository, host_view.head_commit))
            sight = await self._with_release(job, host, repository, sight)
        await self.saw(job.project_id, replace(seen, sight=sight))

    async def look_at_branch(self, project_id: str, repository: str, branch: str) -> bool:
        """Look at the pull request of a branch, if it is one of ours; return whether it is.

        Raises:
            SourceRefuses, Unavailable: as `look`.
        """
        for job in await self._jobs.of_branch(project_id, branch):
            reported = pull_request_of(job)
            if reported is not None and reported[0].lower() == repository.lower():
                await self.look(job)
                return True
        return False

    async def announced(self, job: Job) -> None:
        """Publish that nothing is left to do about the pull request of a job.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if job.pr_sight is not None:
            sight = replace(job.pr_sight, announced_at=self._clock())
            await self._steps.publish(self._steps.next(job, job.state, key="announced", pr_sight=sight))

    def _credible(self, sight: PullRequestSight) -> PullRequestSight:
        return replace(
            sight,
            as_of=self._credible_time(sight.as_of),
            merged_at=None if sight.merged_at is None else self._credible_time(sight.merged_at),
            shipped_at=None if sight.shipped_at is None else self._credible_time(sight.shipped_at),
        )

    def _credible_time(self, told: datetime) -> datetime:
        now = self._clock()
        return told if is_credible(told, now) else now

    async def _with_release(
        self, job: Job, host: PullRequestHost, repository: str, sight: PullRequestSight
    ) -> PullRequestSight:
        """Return a sight that has the release that ships the pull request, where the project waits for one."""
        policy = (await self._configs.get(job.project_id)).config.policy
        known = None if job.pr_sight is None else job.pr_sight.shipped_at
        if sight.state != "merged" or policy.resolve_on != "release" or known is not None:
            return sight
        release = await host.latest_release(repository)
        if release is None or sight.merged_at is None or release.published_at < sight.merged_at:
            return sight
        return replace(sight, shipped_at=release.published_at)

    async def _publish(self, job: Job, seen: PullRequestSeen, now: PullRequestSight, news: Sequence[Note]) -> None:
        """Publish the step that tells a job what its pull request is now, unless the job knows it."""
        if job.pr_sight == now and job.pr_state == now.state and job.pr_url is not None:
            return
        told = ", ".join(note.news for note in news)
        step = self._steps.next(
            job,
            job.state,
            key="pull request",
            log=f"pull request {seen.name}: {told}" if told else None,
            pr_url=seen.url if job.pr_url is None else None,
            pr_sight=now,
        )
        await self._steps.publish(step)

    def _command(self, job: Job, seen: PullRequestSeen, note: Note) -> NotePullRequest:
        return NotePullRequest(
            pull_request_note_id(job.project_id, seen.name, note.news, note.since),
            f"pull request {seen.name}",
            self._clock(),
            job.cluster_id,
            seen.name,
            seen.url,
            note.news,
            note.at,
            note.resolves,
        )


def _names(job: Job, repository: str, number: int) -> bool:
    """Return whether a job has reported this pull request."""
    reported = pull_request_of(job)
    return reported is not None and (reported[0].lower(), reported[1]) == (repository.lower(), number)


def seen_on(found: PullRequest, repository: str, branch: str, now: datetime) -> PullRequestSeen:
    """Return what the code host shows of a pull request at a time.

    Raises:
        SourceUnavailable: the host does not say when it changed last.
    """
    if found.updated_at is None:
        raise SourceUnavailable(f"GitHub does not say when {repository}#{found.number} changed last")
    as_of = datetime.fromisoformat(found.updated_at)
    if now - as_of > SETTLED:
        as_of += AFTER_ITS_SECOND
    merged_at = None if found.merged_at is None else datetime.fromisoformat(found.merged_at)
    sight = PullRequestSight(found.state, as_of, merged_at=merged_at)
    return PullRequestSeen(repository, found.number, found.url, branch, found.head_repository, sight)


def _is_in(release: ReleasePublished, job: Job) -> bool:
    """Return whether a job's pull request was merged before a release, and waits for one."""
    reported = pull_request_of(job)
    if reported is None or reported[0].lower() != release.repository.lower() or not waits_to_ship(job):
        return False
    merged_at = None if job.pr_sight is None else job.pr_sight.merged_at
    return merged_at is not None and merged_at <= release.published_at


def _seen_again(job: Job, shipped_at: datetime) -> PullRequestSeen:
    """Return the last sight of a job's pull request, with the time it shipped."""
    reported = pull_request_of(job)
    if reported is None or job.fix is None or job.pr_sight is None or job.pr_url is None:
        raise ValueError(f"job {job.id} has no pull request")
    repository, number = reported
    sight = replace(job.pr_sight, shipped_at=shipped_at)
    return PullRequestSeen(repository, number, job.pr_url, job.fix.branch, None, sight)
