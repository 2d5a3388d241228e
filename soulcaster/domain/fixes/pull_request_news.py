"""Which jobs a pull request is of, and what is new about it: pure rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Literal

from soulcaster.domain.commands import PullRequestNews
from soulcaster.domain.fixes.github_events import PullRequestSeen
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight, after
from soulcaster.domain.lifecycle import Job

ResolveOn = Literal["merge", "release"]
"""When a fix counts as shipped, so that its cluster is resolved."""

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+/([^/\s]+/[^/\s]+)/pull/([0-9]{1,9})")


def pull_request_of(job: Job) -> tuple[str, int] | None:
    """Return repository and number of the pull request that a job has reported; None where it is not of its target."""
    target = None if job.fix is None else job.fix.options.target
    found = _ADDRESS.fullmatch(job.pr_url or "")
    if target is None or found is None or found[1].lower() != target.repository.lower():
        return None
    return target.repository, int(found[2])


def is_of(seen: PullRequestSeen, job: Job) -> bool:
    """Return whether a pull request is that of a job; no text in it counts.

    Anybody may open one from a branch of the same name in a fork of theirs. So it is the one that the job has reported,
    by repository and number; and where the report was lost, one in the job's repository from the job's branch in the
    repository that the job pushed to.
    """
    target = None if job.fix is None else job.fix.options.target
    if job.fix is None or target is None or job.fix.branch != seen.branch:
        return False
    if target.repository.lower() != seen.repository.lower():
        return False
    if job.pr_url is not None:
        reported = pull_request_of(job)
        return reported is not None and reported[1] == seen.number
    pushed_to = (job.outcome and job.outcome.repository) or target.repository
    return job.launch > 0 and (seen.head_repository or "").lower() == pushed_to.lower()


@dataclass(frozen=True, slots=True)
class Note:
    """What is new for the history of the cluster.

    `since` is what the news follows: with it, the news has the same id whoever tells it first.
    """

    news: PullRequestNews
    at: datetime
    since: str
    resolves: bool


def known_of(jobs: Sequence[Job]) -> PullRequestSight | None:
    """Return what jobs that share a pull request know of it together."""
    sights = [job.pr_sight for job in jobs if job.pr_sight is not None]
    return reduce(after, sights) if sights else None


def shipped(sight: PullRequestSight, resolve_on: ResolveOn) -> PullRequestSight:
    """Return a sight that says that a merged pull request has shipped, where the merge suffices for that."""
    if sight.state != "merged" or resolve_on == "release" or sight.shipped_at is not None:
        return sight
    return replace(sight, shipped_at=sight.merged_at or sight.as_of)


def notes(known: PullRequestSight | None, now: PullRequestSight) -> list[Note]:
    """Return what is new between two sights, the second being what `after` makes of both."""
    found: list[Note] = []
    before = None if known is None else known.state
    since = "" if known is None else known.as_of.isoformat()
    if now.state == "open" and before != "open":
        found.append(Note("opened" if before is None else "reopened", now.as_of, since, resolves=False))
    elif now.state == "closed" and before != "closed":
        found.append(Note("closed", now.as_of, since, resolves=False))
    elif now.state == "merged":
        merged_at = now.merged_at or now.as_of
        ships = now.shipped_at is not None and (known is None or known.shipped_at is None)
        if before != "merged":
            at_once = ships and now.shipped_at == merged_at
            found.append(Note("merged", merged_at, "", resolves=at_once))
            ships = ships and not at_once
        if ships and now.shipped_at is not None:
            found.append(Note("released", now.shipped_at, "", resolves=True))
    return found
