"""A fix: what one job of a coding agent is ordered to do. It is decided once, and never changes afterwards."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, get_args

from annotated_types import Interval
from pydantic import StringConstraints

from soulcaster.domain.ids import ShortId

StopPoint = Literal["brief", "plan", "branch", "pr"]
"""How far work goes without a person: a brief, a plan, a branch that is pushed, an open draft pull request."""

STOP_POINTS: tuple[StopPoint, ...] = get_args(StopPoint)


def nearer(one: StopPoint, other: StopPoint) -> StopPoint:
    """Return the stop point that comes first on the way."""
    return min(one, other, key=STOP_POINTS.index)


Backend = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""The name of a launch backend."""

BRANCH_PREFIX = "soulcaster/"
"""What the name of every branch of ours begins with."""

MAX_BRANCH = 255
"""Characters of the name of a branch."""

MAX_JOB_SECONDS = 24 * 3600

JobSeconds = Annotated[int, Interval(ge=10, le=MAX_JOB_SECONDS)]
"""How long a job's program may run."""

Usd = Annotated[float, Interval(ge=0, le=100_000)]
"""An amount of money in US dollars."""


@dataclass(frozen=True, slots=True)
class Target:
    """The repository that a fix changes, as owner/name, and the commit that it starts from."""

    repository: Annotated[str, StringConstraints(max_length=140)]
    base_branch: Annotated[str, StringConstraints(max_length=MAX_BRANCH)]
    base_commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


MAX_REQUEST_CHARS = 8_000
"""Characters of a request for a change of a pull request."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A job that goes on with an open pull request, because somebody who may write asked for a change.

    `request` is their words; the job adds commits to `branch`, which another job has made. The target's base commit is
    then the newest commit of the pull request.
    """

    pr_number: Annotated[int, Interval(ge=1)]
    requested_by: Annotated[str, StringConstraints(max_length=200)]
    request: Annotated[str, StringConstraints(max_length=MAX_REQUEST_CHARS)]
    branch: Annotated[str, StringConstraints(max_length=MAX_BRANCH)] = ""
    pr_url: Annotated[str, StringConstraints(max_length=2_000)] | None = None


@dataclass(frozen=True, slots=True)
class FixOptions:
    """What a request for a fix settles.

    `target` is None only for a backend that changes no repository. `brief_id` and `plan_id` name documents.
    `stop_at` is how far the job goes, `seconds` how long each launch of its program may run, `budget_usd` what the
    job may spend. `follow_up` is set where the job goes on with a pull request.
    """

    backend: Backend = "dry-run"
    target: Target | None = None
    brief_id: ShortId | None = None
    plan_id: ShortId | None = None
    stop_at: StopPoint = "pr"
    seconds: JobSeconds = 3600
    budget_usd: Usd = 0.0
    follow_up: FollowUp | None = None


DEFAULT_OPTIONS = FixOptions()


@dataclass(frozen=True, slots=True)
class Fix:
    """A coding agent's work on a cluster, to be launched once.

    `attempt` counts the jobs of the cluster from 1. It and `branch` do not change when the cluster's title does.
    """

    job_id: str
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: datetime
    attempt: int = 1
    branch: str = ""
    options: FixOptions = DEFAULT_OPTIONS


def branch_name(cluster_id: str, attempt: int) -> str:
    """Return the branch that a fix works on; it follows from the cluster's id, because titles change."""
    return f"{BRANCH_PREFIX}fix-{cluster_id[:8]}-{attempt}"
