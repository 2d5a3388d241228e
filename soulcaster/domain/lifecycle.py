"""The life of a job, and the status it gives its cluster: pure state machines.

Several programs report steps of one job: the clusterer that decides on it, the launcher, the program that the launcher
starts, an API client, a person who cancels. All steps of a job are on one partition of job.events, and the job is what
the steps make of it in that order: `advance` applies the next one. Everybody who reads the log sees the same job.

The log also gives fencing tokens. A launch begins with a claim; the offset of that record is the launch's token. Of two
launchers that claim the same launch, the first record counts, and a report with the token of an earlier launch changes
nothing. (Source of the idea: Kleppmann, *How to do distributed locking*, 2016.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.fixes.outcome import FixOutcome, PullRequestState
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight, after
from soulcaster.errors import IllegalTransition

JobStatus = Literal["pending", "running", "success", "failed"]
JobState = Literal[
    "queued", "approved", "launching", "running", "publishing", "succeeded", "failed", "dead", "cancelled"
]
"""Waiting for approval; waiting for a launch; being launched; at work; publishing what it made; and the ends: it did
its work, it could not, no launch of it survived, a person ended it."""

ClusterStatus = Literal["new", "fixing", "pr_opened", "failed", "muted", "resolved", "regressed"]

Triage = Literal["open", "muted", "resolved", "regressed"]
"""What people decided about a cluster: nothing yet, that they ignore it, that it is done; or that it was done, but has
since got newer feedback."""

STATUSES: Mapping[JobState, JobStatus] = {
    "queued": "pending",
    "approved": "pending",
    "launching": "pending",
    "running": "running",
    "publishing": "running",
    "succeeded": "success",
    "failed": "failed",
    "dead": "failed",
    "cancelled": "failed",
}
"""The public status of each state."""

_ORDER: Mapping[JobState, int] = {
    "queued": 0, "approved": 1, "launching": 2, "running": 3, "publishing": 4,
    "succeeded": 5, "failed": 5, "dead": 5, "cancelled": 5,
}  # fmt: skip
_END = 5

_OF_STATUS: Mapping[JobStatus, JobState] = {
    "pending": "approved",
    "running": "running",
    "success": "succeeded",
    "failed": "failed",
}

MAX_LAUNCHES = 3
"""How often a job is launched before it is dead."""

NOT_IN_LOG = -1
"""The offset of a step that is not read from the log, and the token of a job that was never launched."""


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job, with its offset on job.events.

    `seq` orders steps of one program that have the same `at`. `token` is the fencing token of the launch that reports;
    people and API clients have none. `launch` is set in a claim: the number of the launch that begins. `fix` is set in
    the first step of a job that the clusterer decided on. `pr_state` is what became of the pull request, `outcome` what
    the job made so far. A step with `pr_sight`, which says what GitHub shows of the pull request, leaves the state of
    the job as it is.
    """

    id: str
    job_id: str
    project_id: str
    cluster_id: str
    seq: int
    state: JobState
    at: datetime
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None
    token: int | None = None
    launch: int | None = None
    task: str | None = None
    cost_usd: float | None = None
    archive_url: str | None = None
    fix: Fix | None = None
    offset: int = NOT_IN_LOG
    pr_state: PullRequestState | None = None
    outcome: FixOutcome | None = None
    pr_sight: PullRequestSight | None = None

    @property
    def place(self) -> str:
        """Return the sort key of the step's log line: time, then `seq`, then id."""
        return f"{self.at.astimezone(UTC).isoformat(timespec='microseconds')} {self.seq:020} {self.id}"


@dataclass(frozen=True, slots=True)
class Job:
    """A job after the steps known so far.

    `seq` is the highest of them, `offset` that of the last one. `launch` counts launches, `fence` is the token of the
    present one and `launched_at` when it began; `task` is the backend's name of it. `fix` is None for a job that
    somebody recorded and no launcher runs. `cost_usd` is what the job has spent, `earlier_usd` the part of it that
    earlier launches spent: each counts from 0. `archive_url` is where its whole log is kept. `pr_state` is None as long
    as nobody has said what the pull request is; `pr_sight` is what GitHub shows of it, if anybody has looked. `outcome`
    is the newest that was reported. `ended_at` is when the job ended.
    """

    id: str
    project_id: str
    cluster_id: str
    state: JobState
    seq: int
    created_at: datetime
    updated_at: datetime
    pr_url: str | None = None
    error: str | None = None
    launch: int = 0
    fence: int = NOT_IN_LOG
    launched_at: datetime | None = None
    task: str | None = None
    cost_usd: float = 0.0
    earlier_usd: float = 0.0
    archive_url: str | None = None
    fix: Fix | None = None
    offset: int = NOT_IN_LOG
    pr_state: PullRequestState | None = None
    outcome: FixOutcome | None = None
    pr_sight: PullRequestSight | None = None
    ended_at: datetime | None = None

    @property
    def status(self) -> JobStatus:
        """Return the public status."""
        return STATUSES[self.state]


def state_of(status: JobStatus) -> JobState:
    """Return the state that a report with a public status alone gives a job."""
    return _OF_STATUS[status]


def start(step: JobStep) -> Job:
    """Return the job of which this is the first step."""
    job = Job(
        step.job_id, step.project_id, step.cluster_id, step.state, step.seq, step.at, step.at,
        step.pr_url, step.error, cost_usd=step.cost_usd or 0.0, archive_url=step.archive_url, fix=step.fix,
        offset=step.offset, pr_state=step.pr_state, outcome=step.outcome, pr_sight=step.pr_sight,
        ended_at=step.at if ends(step.state) else None,
    )  # fmt: skip
    return job if step.launch is None else _launched(replace(job, state="approved"), step)


def advance(job: Job, step: JobStep) -> Job:
    """Return the job after its next step; a step that comes again, or that may change nothing, changes nothing.

    Within one launch the state goes forward only. A report of the present launch that the job is approved again ends
    that launch: the job waits for a retry. An end is final; afterwards only a pull request with its state, the outcome,
    costs and the archive are noted. A pull request that is merged stays so.
    """
    if step.offset != NOT_IN_LOG:
        if step.offset <= job.offset:
            return job
        job = replace(job, offset=step.offset)
    if step.token is not None and step.token != job.fence:
        return job
    if step.launch is not None:
        return _launched(job, step) if _may_launch(job, step.launch) else job
    moved = _noted(job, step)
    if not active(job) or step.pr_sight is not None:
        return moved
    if _may_follow(job, step):
        return replace(
            moved,
            state=step.state,
            error=step.error if ends(step.state) else step.error or job.error,
            ended_at=step.at if ends(step.state) else None,
        )
    return replace(moved, error=step.error or job.error)


def _noted(job: Job, step: JobStep) -> Job:
    """Return the job with what a step says beside its state."""
    return replace(
        job,
        seq=max(job.seq, step.seq),
        created_at=min(job.created_at, step.at),
        updated_at=max(job.updated_at, step.at),
        pr_url=step.pr_url or job.pr_url,
        task=step.task or job.task,
        cost_usd=max(job.cost_usd, job.earlier_usd + (step.cost_usd or 0.0)),
        archive_url=step.archive_url or job.archive_url,
        fix=step.fix or job.fix,
        pr_state=_pr_state(job, step),
        outcome=step.outcome or job.outcome,
        pr_sight=_pr_sight(job, step),
    )


def _pr_state(job: Job, step: JobStep) -> PullRequestState | None:
    """Return what the pull request is: what GitHub shows outweighs what programs report; merged is final.

    A program that reports the pull request of a job in a repository has opened it.
    """
    if job.pr_state == "merged":
        return "merged"
    sight = _pr_sight(job, step)
    if sight is not None:
        return sight.state
    opened = step.pr_url is not None and job.fix is not None and job.fix.options.target is not None
    return step.pr_state or job.pr_state or ("open" if opened else None)


def _pr_sight(job: Job, step: JobStep) -> PullRequestSight | None:
    if step.pr_sight is not None:
        return after(job.pr_sight, step.pr_sight)
    if step.pr_url and job.pr_url and step.pr_url != job.pr_url:
        return None  # it is another pull request
    return job.pr_sight


def _may_follow(job: Job, step: JobStep) -> bool:
    if job.state == "queued" and not ends(step.state):
        return step.state == "approved" and step.fix is not None  # the clusterer alone approves
    if step.state == "approved" and step.token is not None:
        return True
    return _ORDER[step.state] >= _ORDER[job.state]


def waits_for_launch(job: Job) -> bool:
    """Return whether the next launch of a job may begin.

    A job that was never launched waits for it although somebody reports that it runs: an API client, or a launcher of a
    version that claimed nothing.
    """
    return job.state == "approved" or (job.launch == 0 and job.state in {"launching", "running", "publishing"})


def _may_launch(job: Job, launch: int) -> bool:
    return waits_for_launch(job) and launch == job.launch + 1 <= MAX_LAUNCHES


def _launched(job: Job, step: JobStep) -> Job:
    """Return the job with a new launch, whose fencing token is the offset of this step."""
    return replace(
        _noted(job, step),
        state="launching",
        launch=job.launch + 1,
        fence=step.offset,
        launched_at=step.at,
        earlier_usd=job.cost_usd,
        task=None,
        error=None,
    )


def ends(state: JobState) -> bool:
    """Return whether a job in this state has ended."""
    return _ORDER[state] == _END


def active(job: Job) -> bool:
    """Return whether the job has not ended."""
    return not ends(job.state)


def waits_to_ship(job: Job) -> bool:
    """Return whether the pull request of a job is merged, and what it changes has not reached people yet."""
    return job.pr_state == "merged" and (job.pr_sight is None or job.pr_sight.shipped_at is None)


def follows_pull_request(job: Job) -> bool:
    """Return whether somebody has to look what becomes of the pull request of a job."""
    if job.pr_url is None or job.fix is None or job.fix.options.target is None:
        return False
    if job.pr_state == "merged":
        return job.pr_sight is None or job.pr_sight.announced_at is None
    return job.pr_state == "open"


def may_become(job: Job, state: JobState) -> None:
    """Return if a job may get this state now; reporting its present state, or status, again is allowed.

    Raises:
        IllegalTransition: the state cannot follow the present one.
    """
    if STATUSES[state] == job.status:
        return
    if not active(job) or _ORDER[state] < _ORDER[job.state]:
        raise IllegalTransition(f"The job is {job.status}; it cannot become {STATUSES[state]}.")


def cluster_status(job: Job | None, triage: Triage = "open") -> ClusterStatus:
    """Return the status of a cluster, from its newest job (if any) and its triage.

    A running job comes first: it is what happens now. Then triage counts: a decision outweighs how the last job ended;
    but a cluster that has regressed may have another pull request that is open or waits for a release. For an open
    cluster the last job decides. One that succeeded without a pull request, or whose pull request is closed, changes
    nothing.
    """
    if job is not None and active(job):
        return "fixing"
    if triage in ("muted", "resolved"):
        return triage
    if job is not None and (job.pr_state == "open" or waits_to_ship(job)):
        return "pr_opened"
    if triage == "regressed":
        return triage
    if job is None or job.pr_state is not None:
        return "new"
    if job.status == "failed":
        return "failed"
    return "pr_opened" if job.pr_url else "new"
