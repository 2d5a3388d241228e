"""What the code host shows of the pull request of a job, and what two such sights say together.

Webhooks come twice, late and in any order, and a poll may look in between. Every sight therefore says of when it is,
and `after` gives the same state in whatever order sights come.
"""

from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.fixes.outcome import CheckState, PullRequestState


@dataclass(frozen=True, slots=True)
class PullRequestSight:
    """A pull request as somebody saw it.

    `as_of` is the time of the pull request's last change then. `checks` is None where nobody looked at them.
    `shipped_at` is when what it changes reached people: by the merge, or by a release after it. `announced_at` is when
    the last thing was done about it: nobody has to look at it any more.
    """

    state: PullRequestState
    as_of: datetime
    checks: CheckState | None = None
    merged_at: datetime | None = None
    shipped_at: datetime | None = None
    announced_at: datetime | None = None


def after(known: PullRequestSight | None, seen: PullRequestSight) -> PullRequestSight:
    """Return what is known after another sight.

    The newer state counts, and of two of the same time the open one, which is looked at again. Merged is final. Of the
    checks the last word counts, whenever it was said: they have no time of their own.
    """
    if known is None:
        return seen
    newer = seen if _outranks(seen, known) else known
    return PullRequestSight(
        "merged" if "merged" in (known.state, seen.state) else newer.state,
        newer.as_of,
        seen.checks or known.checks,
        known.merged_at or seen.merged_at,
        known.shipped_at or seen.shipped_at,
        known.announced_at or seen.announced_at,
    )


def _outranks(seen: PullRequestSight, known: PullRequestSight) -> bool:
    return seen.as_of > known.as_of or (seen.as_of == known.as_of and seen.state == "open")
