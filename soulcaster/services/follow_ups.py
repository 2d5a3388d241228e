"""Follow-ups: jobs that go on with an open pull request, because somebody who may write asks for a change.

Who may write says the code host, never a payload. What we say ourselves, and what others say, starts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from soulcaster.domain.fixes.fix import MAX_REQUEST_CHARS, FollowUp, Target
from soulcaster.domain.fixes.github_events import Addressed, PullRequestSeen, ReviewSubmitted
from soulcaster.domain.fixes.strangers import plain
from soulcaster.domain.ids import follow_up_command_id, job_id_for
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import SoulcasterError, Unavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import CodeHosts, PullRequest, PullRequestHost
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.services.fixes import Continuation, Fixes, FixRequest
from soulcaster.services.pull_requests import PullRequests, seen_on

OUR_MARK = "<!-- soulcaster"
"""What every comment of ours begins a hidden mark with."""

Words = Addressed | ReviewSubmitted

log = structlog.get_logger(__name__)


class NoFollowUp(Exception):
    """These words start no follow-up; the message says why, and `told` whether the pull request is told, too."""

    def __init__(self, reason: str, *, told: bool = False) -> None:
        super().__init__(reason)
        self.told = told


@dataclass(frozen=True, slots=True)
class _Request:
    """What somebody asks for, of which pull request, and the jobs that have worked on it, oldest first."""

    found: PullRequest
    seen: PullRequestSeen
    jobs: Sequence[Job]
    author: str
    words: str


class FollowUps:
    """Starts follow-ups.

    A request while a job of the cluster is under way is refused, with a comment: two jobs on one branch would meet.
    """

    def __init__(
        self,
        pull_requests: PullRequests,
        fixes: Fixes,
        configs: ProjectConfigReader,
        hosts: CodeHosts,
        clock: Clock,
    ) -> None:
        self._pull_requests = pull_requests
        self._fixes = fixes
        self._configs = configs
        self._hosts = hosts
        self._clock = clock

    async def asked(self, project_id: str, words: Words) -> str:
        """Start the follow-up that a review or a comment asks for, once; return the id of its job.

        Raises:
            NoFollowUp: these words start none.
            SourceRefuses: the code host refuses what we ask it.
            Unavailable: the code host, Kafka or Redis does not answer.
        """
        most = (await self._configs.get(project_id)).config.policy.follow_ups
        if most == 0:
            raise NoFollowUp("follow-ups are off in this project")
        if isinstance(words, Addressed) and OUR_MARK in words.words:
            raise NoFollowUp("it is a comment of ours")
        # Before the code host is asked: whoever knows the project's webhook secret may name any repository.
        if not await self._pull_requests.is_open(project_id, words.repository, words.number):
            raise NoFollowUp("it is not about an open pull request of this project")
        async with self._hosts.of(words.repository) as host:
            request = await self._request(project_id, host, words)
            command_id = follow_up_command_id(project_id, words.repository, _id_of(words))
            job_id = job_id_for(command_id)
            if any(job.id == job_id for job in request.jobs):
                return job_id
            try:
                await self._start(project_id, request, command_id, most)
            except NoFollowUp as refusal:
                if refusal.told:
                    await self._say(host, words, str(refusal))
                raise
        log.info("a follow-up starts", project=project_id, pull_request=request.seen.name, job=job_id)
        return job_id

    async def _request(self, project_id: str, host: PullRequestHost, words: Words) -> _Request:
        """Return what is asked for.

        Raises:
            NoFollowUp: it is not an open pull request of ours, whoever asks may not write, or nothing is asked for.
        """
        found = await host.get(words.repository, words.number)
        branch = found.head.partition(":")[2]
        seen = seen_on(found, words.repository, branch, self._clock())
        jobs = await self._pull_requests.jobs_of(project_id, seen)
        if not jobs:
            raise NoFollowUp("it is not about a pull request of this project")
        if found.state != "open":
            raise NoFollowUp("the pull request is not open")
        if not await host.may_write(words.repository, words.author):
            log.info("a comment is passed over", project=project_id, pull_request=seen.name, cause="no write access")
            raise NoFollowUp("whoever wrote it may not write to the repository")
        text = words.words if isinstance(words, Addressed) else await _review(host, words)
        asked = plain(text)[:MAX_REQUEST_CHARS]
        if not asked:
            raise NoFollowUp("it asks for nothing")
        return _Request(found, seen, jobs, words.author, asked)

    async def _start(self, project_id: str, request: _Request, command_id: str, most: int) -> None:
        """Send the command.

        Raises:
            NoFollowUp: the pull request had its follow-ups, a job is under way, or the project's limits allow no more.
            Unavailable: Kafka, Redis or the code host does not answer.
        """
        done = sum(job.fix is not None and job.fix.options.follow_up is not None for job in request.jobs)
        if done >= most:
            raise NoFollowUp(f"this pull request has had all follow-ups that the project allows ({most})", told=True)
        if any(active(job) for job in request.jobs):
            raise NoFollowUp("a job is at work on this pull request; ask again when it has ended", told=True)
        first, seen = request.jobs[0], request.seen
        follow_up = FollowUp(seen.number, request.author, request.words, seen.branch, first.pr_url or seen.url)
        target = Target(seen.repository, request.found.base, request.found.head_commit)
        fix = FixRequest(
            f"{request.author} at GitHub", continues=Continuation(follow_up, target, command_id, _backend_of(first))
        )
        try:
            await self._fixes.start(project_id, first.cluster_id, fix)
        except Unavailable:
            raise
        except SoulcasterError as error:
            raise NoFollowUp(str(error), told=True) from error

    async def _say(self, host: PullRequestHost, words: Words, reason: str) -> None:
        mark = f"{OUR_MARK} answer to {_id_of(words)} -->"
        await host.comment(words.repository, words.number, f"Soulcaster does not start: {reason}.", marker=mark)


async def _review(host: PullRequestHost, words: ReviewSubmitted) -> str:
    """Return the words of a review that asks for changes or comments.

    Raises:
        NoFollowUp: it does neither, or the comment in it is somebody else's.
    """
    review = await host.review(words.repository, words.number, words.review_id)
    if review.verdict not in ("changes_requested", "commented"):
        raise NoFollowUp(f"the review is {review.verdict}")
    if review.author.lower() != words.author.lower():
        raise NoFollowUp("it is a comment on somebody else's review")
    if OUR_MARK in review.words:
        raise NoFollowUp("it is a review of ours")
    return review.words


def _id_of(words: Words) -> str:
    """Return what names the words; a review and its comments are one request."""
    return f"comment {words.comment_id}" if isinstance(words, Addressed) else f"review {words.review_id}"


def _backend_of(job: Job) -> str | None:
    return None if job.fix is None else job.fix.options.backend
