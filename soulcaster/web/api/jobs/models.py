"""The query, bodies and responses of jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from soulcaster.domain.lifecycle import Job, JobStatus
from soulcaster.web.bodies import Body
from soulcaster.web.parameters import Id, PageQuery


class JobsQuery(PageQuery):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


class JobIn(Body):
    """POST /jobs: the cluster of the job."""

    cluster_id: Id


class JobPatchIn(Body):
    """PATCH /jobs/{id}: what to report; `logs` is appended to the log."""

    status: JobStatus | None = None
    logs: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    pr_url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,2000}$")] | None = None
    error: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class JobOut(BaseModel):
    """A job; `logs` holds its log lines and is null in lists."""

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    logs: str | None
    pr_url: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: Job, logs: Sequence[str] | None = None) -> "JobOut":
        """Return a job as the read model has it."""
        return cls(
            id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            status=job.status,
            logs=None if logs is None else "\n".join(logs),
            pr_url=job.pr_url,
            error=job.error,
            created_at=job.created_at,
            updated_at=job.updated_at,
        )


class JobChangedOut(BaseModel):
    """Kafka has a change of a job; `job` is the job with that change."""

    status: Literal["ok"] = "ok"
    message: str
    job_id: str
    project_id: str
    job: JobOut

    @classmethod
    def of(cls, message: str, job: Job) -> "JobChangedOut":
        """Return a job that was changed."""
        return cls(message=message, job_id=job.id, project_id=job.project_id, job=JobOut.of(job))
