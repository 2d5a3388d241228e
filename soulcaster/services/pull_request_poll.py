"""Looking at pull requests now and then, because webhooks get lost, and saying on issues that a fix has shipped.

Several launchers may run this: one of them looks at a time, and what two of them see leads to the same steps.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import structlog

from soulcaster.domain.fixes.pull_request_news import pull_request_of
from soulcaster.domain.lifecycle import Job, waits_to_ship
from soulcaster.errors import SourceLimited, SourceRefuses, SourceUnavailable, Unavailable
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.rate_limits import RateLimits
from soulcaster.services.fair_turns import in_turn
from soulcaster.services.pull_requests import PullRequests
from soulcaster.services.shipping import Shipping
from soulcaster.telemetry.liveness import LOOPS

LOOKS = "looks at pull requests"
"""What of the rate limits a look takes."""

PASS_SECONDS = 1_800.0
"""A look takes less, however many projects there are."""

log = structlog.get_logger(__name__)


class PullRequestPoll:
    """Looks at the pull requests of jobs that need it."""

    def __init__(
        self,
        jobs: JobReader,
        pull_requests: PullRequests,
        shipping: Shipping,
        rate_limits: RateLimits,
        *,
        seconds: int,
    ) -> None:
        """`seconds` is the pause between two looks, of all launchers together."""
        self._jobs = jobs
        self._pull_requests = pull_requests
        self._shipping = shipping
        self._rate_limits = rate_limits
        self._seconds = seconds

    async def run(self) -> None:
        """Look again and again, until the caller cancels; a look that fails is logged, and the next one follows."""
        while True:
            LOOPS.begin_pass("pull-requests", within=self._seconds + PASS_SECONDS)
            try:
                await self.look_in_turn()
            except Unavailable as error:
                log.warning("pull requests wait", cause=str(error))
            except Exception:
                log.exception("pull requests could not be looked at")
            await asyncio.sleep(self._seconds)

    async def look_in_turn(self) -> bool:
        """Look, unless a launcher has looked in this interval; return whether it did.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        if await self._rate_limits.take_of(LOOKS, most=1, seconds=self._seconds):
            return False
        await self.look()
        return True

    async def look(self) -> None:
        """Look at each pull request once, those of projects in turn; one that cannot be seen now stops no other.

        A host that takes no more requests from the credential of an owner's repositories is left alone until the next
        look.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        limited: set[str] = set()
        for (project_id, repository, number), jobs in _by_pull_request(await self._jobs.followed()).items():
            owner = repository.partition("/")[0].lower()
            if owner in limited:
                continue
            try:
                await self._one(jobs)
            except SourceLimited as error:
                limited.add(owner)
                log.info("GitHub takes no more requests", owner=owner, until=error.until.isoformat())
            except (SourceUnavailable, SourceRefuses) as error:
                name = f"{repository}#{number}"
                log.info("a pull request cannot be seen", project=project_id, pull_request=name, cause=str(error))

    async def _one(self, jobs: Sequence[Job]) -> None:
        job = jobs[0]
        if job.pr_state == "open" or waits_to_ship(job):
            await self._pull_requests.look(job)
            return
        await self._shipping.announce(job)
        for one in jobs:
            await self._pull_requests.announced(one)


def _by_pull_request(jobs: Sequence[Job]) -> dict[tuple[str, str, int], list[Job]]:
    """Return jobs by project, repository and number of their pull request, in the order to look at."""
    found: dict[tuple[str, str, int], list[Job]] = defaultdict(list)
    for job in jobs:
        reported = pull_request_of(job)
        if reported is not None:
            repository, number = reported
            found[job.project_id, repository, number].append(job)
    of_projects: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for pull_request in found:
        of_projects[pull_request[0]].append(pull_request)
    return {pull_request: found[pull_request] for pull_request in in_turn(of_projects.values())}
