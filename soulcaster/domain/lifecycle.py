"""The life of a job, and what it makes of its cluster's status; state machines without any system behind them.

Several tell of one job: the clusterer that asks for it, the launcher, whoever reports through the API or cancels it.
None of them waits for another, so a job is what its steps make of it in whatever order they come: `advance` takes any
step, and the same steps end in the same job. Whoever is about to tell a step asks `may_become` first.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from soulcaster.errors import IllegalTransition

JobStatus = Literal["pending", "running", "success", "failed"]
ClusterStatus = Literal["new", "fixing", "pr_opened", "failed", "muted", "resolved"]

Triage = Literal["open", "muted", "resolved"]
"""What people have said of a cluster: nothing, that they do not want to hear of it, or that it is done with."""

NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    "pending": frozenset({"pending", "running", "success", "failed"}),
    "running": frozenset({"running", "success", "failed"}),
    "success": frozenset(),
    "failed": frozenset(),
}
"""From a status, the statuses a step may lead to. A job that has ended stays as it ended."""

_RANK: dict[JobStatus, int] = {"pending": 0, "running": 1, "success": 2, "failed": 2}


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job. `id` is its own: a step delivered twice is known by it.

    Where `at` is the same, `seq` orders the steps that one program tells of a job; two programs may give the same.
    """

    id: str
    job_id: str
    project_id: str
    cluster_id: str
    seq: int
    status: JobStatus
    at: datetime
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None

    @property
    def place(self) -> str:
        """Return its place among the steps of its job, to be compared: by time, then by `seq`, then by id."""
        return f"{self.at.astimezone(UTC).isoformat(timespec='microseconds')} {self.seq:020} {self.id}"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands after the steps that are known.

    `seq` is the highest of them. The places are those of the steps that gave status and error, and the pull request.
    """

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    seq: int
    created_at: datetime
    updated_at: datetime
    pr_url: str | None = None
    error: str | None = None
    status_place: str = ""
    error_place: str = ""
    pr_place: str = ""


def start(step: JobStep) -> Job:
    """Return the job of which this step is known."""
    place = step.place
    return Job(
        step.job_id,
        step.project_id,
        step.cluster_id,
        step.status,
        step.seq,
        step.at,
        step.at,
        step.pr_url,
        step.error,
        place,
        place if step.error is not None else "",
        place if step.pr_url is not None else "",
    )


def advance(job: Job, step: JobStep) -> Job:
    """Return the job with one more step known; in which order they become known makes no difference.

    A job goes on from pending to running to its end, never back. Of several ends the earliest counts, with its error;
    until then the latest error does. Of pull requests the latest counts.
    """
    other = start(step)
    status, error = _status(job, other), _error(job, other)
    pr = max(job, other, key=lambda known: known.pr_place)
    return replace(
        job,
        status=status.status,
        status_place=status.status_place,
        error=error.error,
        error_place=error.error_place,
        pr_url=pr.pr_url,
        pr_place=pr.pr_place,
        seq=max(job.seq, other.seq),
        created_at=min(job.created_at, other.created_at),
        updated_at=max(job.updated_at, other.updated_at),
    )


def _status(one: Job, other: Job) -> Job:
    """Return which of the two has the status that counts."""
    ranks = _RANK[one.status], _RANK[other.status]
    if ranks[0] != ranks[1]:
        return one if ranks[0] > ranks[1] else other
    return min(one, other, key=lambda known: known.status_place)


def _error(one: Job, other: Job) -> Job:
    """Return which of the two has the error that counts."""
    if active(one) and active(other):
        return max(one, other, key=lambda known: known.error_place)
    return _status(one, other)


def active(job: Job) -> bool:
    """Tell whether the job is still under way."""
    return bool(NEXT[job.status])


def may_become(job: Job, status: JobStatus) -> None:
    """Return where a job may be told to have this status now; the one it has may be told again.

    Raises:
        IllegalTransition: it cannot follow the job's.
    """
    if status != job.status and status not in NEXT[job.status]:
        raise IllegalTransition(f"The job is {job.status}; it cannot become {status}.")


def cluster_status(job: Job | None, triage: Triage = "open") -> ClusterStatus:
    """Return the status of a cluster by its newest job, if it has had one, and by what people have said of it.

    A job under way comes first, for it is what happens now. Then counts what people said: that it is muted or resolved
    is newer, or meant more, than how its last job ended. Of an open one the last job says the status; one that
    succeeded without a pull request changes nothing.
    """
    if job is not None and active(job):
        return "fixing"
    if triage != "open":
        return triage
    if job is None:
        return "new"
    if job.status == "failed":
        return "failed"
    return "pr_opened" if job.pr_url else "new"
