"""The life of a job, and the status it gives its cluster: pure state machines.

Several programs report steps of one job: the clusterer that requests it, the launcher, an agent through the API, a
person who cancels it. None waits for another, so a job is a function of the set of its steps: `advance` takes steps in
any order, and the same steps always end in the same job. A program calls `may_become` before it reports a step.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from soulcaster.errors import IllegalTransition

JobStatus = Literal["pending", "running", "success", "failed"]
ClusterStatus = Literal["new", "fixing", "pr_opened", "failed", "muted", "resolved"]

Triage = Literal["open", "muted", "resolved"]
"""What people decided about a cluster: nothing yet, that they ignore it, or that it is done."""

NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    "pending": frozenset({"pending", "running", "success", "failed"}),
    "running": frozenset({"running", "success", "failed"}),
    "success": frozenset(),
    "failed": frozenset(),
}
"""The statuses that may follow each status. A job that has ended does not change its status."""

_RANK: dict[JobStatus, int] = {"pending": 0, "running": 1, "success": 2, "failed": 2}


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job. A step delivered twice is recognised by its `id`.

    `seq` orders steps of one program that have the same `at`; two programs may use the same `seq`.
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
        """Return the sort key among the steps of the job: time, then `seq`, then id."""
        return f"{self.at.astimezone(UTC).isoformat(timespec='microseconds')} {self.seq:020} {self.id}"


@dataclass(frozen=True, slots=True)
class Job:
    """A job after the steps known so far.

    `seq` is the highest of them. The three `*_place` fields are the sort keys of the steps that set status, error and
    pull request.
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
    """Return the job of which only this step is known."""
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
    """Return the job with one more step applied; the order of steps makes no difference.

    A job goes from pending to running to its end, never back. Of several ends the earliest counts, with its error.
    Before the end the latest error counts. The latest pull request counts.
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
    """Return the one of the two whose status counts."""
    ranks = _RANK[one.status], _RANK[other.status]
    if ranks[0] != ranks[1]:
        return one if ranks[0] > ranks[1] else other
    return min(one, other, key=lambda known: known.status_place)


def _error(one: Job, other: Job) -> Job:
    """Return the one of the two whose error counts."""
    if active(one) and active(other):
        return max(one, other, key=lambda known: known.error_place)
    return _status(one, other)


def active(job: Job) -> bool:
    """Return whether the job has not ended."""
    return bool(NEXT[job.status])


def may_become(job: Job, status: JobStatus) -> None:
    """Return if a job may get this status now; reporting its present status again is allowed.

    Raises:
        IllegalTransition: the status cannot follow the present one.
    """
    if status != job.status and status not in NEXT[job.status]:
        raise IllegalTransition(f"The job is {job.status}; it cannot become {status}.")


def cluster_status(job: Job | None, triage: Triage = "open") -> ClusterStatus:
    """Return the status of a cluster, from its newest job (if any) and its triage.

    A running job comes first: it is what happens now. Then triage counts: a person's decision outweighs how the last
    job ended. For an open cluster the last job decides; one that succeeded without a pull request changes nothing.
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
