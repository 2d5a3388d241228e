"""The life of a job, and what it makes of its cluster's status; state machines without any system behind them."""

from dataclasses import dataclass, replace
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job: `seq` orders the steps, so that one delivered twice or late changes nothing."""

    job_id: str
    project_id: str
    cluster_id: str
    seq: int
    status: JobStatus
    at: datetime
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands after its steps so far."""

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    seq: int
    created_at: datetime
    updated_at: datetime
    pr_url: str | None = None
    error: str | None = None


def start(step: JobStep) -> Job:
    """Return the job whose first known step this is."""
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
    )


def advance(job: Job, step: JobStep) -> Job:
    """Return the job after a step.

    Raises:
        IllegalTransition: the step is not newer than the job, or its status cannot follow the job's.
    """
    if step.seq <= job.seq:
        raise IllegalTransition(f"job {job.id} has had step {step.seq} already (it is at {job.seq})")
    if step.status not in NEXT[job.status]:
        raise IllegalTransition(f"job {job.id} is {job.status}; it cannot become {step.status}")
    return replace(
        job,
        status=step.status,
        seq=step.seq,
        updated_at=step.at,
        pr_url=step.pr_url or job.pr_url,
        error=step.error or job.error,
    )


def active(job: Job) -> bool:
    """Tell whether the job is still under way."""
    return bool(NEXT[job.status])


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
