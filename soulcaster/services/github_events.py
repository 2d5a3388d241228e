"""GitHub's webhooks about pull requests of jobs, to their effects; they are not feedback.

The effects are on Kafka when `take` returns, so an answer with 2xx loses nothing. A webhook that is lost is made up for
by the poll (`services/pull_request_poll.py`), except for words that ask for a follow-up.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from soulcaster.domain.fixes.github_events import (
    Addressed,
    ChecksCompleted,
    PullRequestSeen,
    ReleasePublished,
    ReviewSubmitted,
    parse,
)
from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.services.follow_ups import FollowUps, NoFollowUp
from soulcaster.services.pull_requests import PullRequests

HOST_SECONDS = 8.0
"""How long GitHub may take for what we ask it: it waits 10 seconds for the answer to its webhook."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a webhook. `ignored` says why it changes nothing, None where it does or may."""

    ignored: str | None = None


class GitHubEvents:
    """Takes webhooks."""

    def __init__(self, pull_requests: PullRequests, follow_ups: FollowUps) -> None:
        self._pull_requests = pull_requests
        self._follow_ups = follow_ups

    async def take(self, project_id: str, event: str, payload: Any) -> Taken | None:
        """Publish what a webhook leads to; None where it is not about pull requests of ours.

        Raises:
            SourceUnavailable: GitHub does not answer what has to be asked.
            Unavailable: Kafka or Redis does not answer.
        """
        try:
            found = parse(event, payload)
        except ValueError as error:
            return Taken(str(error))
        if found is None:
            return None
        try:
            async with asyncio.timeout(HOST_SECONDS):
                return await self._take(project_id, found)
        except TimeoutError as error:
            raise SourceUnavailable(f"GitHub does not answer within {HOST_SECONDS:.0f} seconds") from error
        except (NoFollowUp, SourceRefuses) as error:
            return Taken(str(error))

    async def _take(
        self,
        project_id: str,
        found: PullRequestSeen | ChecksCompleted | ReviewSubmitted | Addressed | ReleasePublished,
    ) -> Taken:
        match found:
            case PullRequestSeen():
                ours = await self._pull_requests.saw(project_id, found)
            case ChecksCompleted():
                ours = await self._pull_requests.look_at_branch(project_id, found.repository, found.branch)
            case ReleasePublished():
                ours = await self._pull_requests.released(project_id, found)
            case _:
                await self._follow_ups.asked(project_id, found)
                ours = True
        return Taken(None if ours else "it is not about a pull request of this project")
