"""The query, bodies and responses of jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from soulcaster.domain.fixes.fix import StopPoint, Usd
from soulcaster.domain.fixes.outcome import CheckState, FixOutcome, PullRequestState, cleaned
from soulcaster.domain.lifecycle import Job, JobState, JobStatus, state_of
from soulcaster.domain.text.given import Text
from soulcaster.services.jobs import Report
from soulcaster.web.bodies import Body
from soulcaster.web.parameters import Id, PageQuery


class JobsQuery(PageQuery):
    """Query of GET /jobs."""

    cluster_id: Id | None = None


class JobIn(Body):
    """POST /jobs: the cluster of the job."""

    cluster_id: Id


class JobPatchIn(Body):
    """PATCH /jobs/{id}: what to report; `logs` is appended to the log.

    `state` is for the program of a launch; it may be running, publishing, succeeded or failed. `cost_usd` is what the
    job has spent so far, `outcome` what it made so far; the newest counts.
    """

    status: JobStatus | None = None
    state: Literal["running", "publishing", "succeeded", "failed"] | None = None
    cost_usd: Usd | None = None
    logs: Annotated[str, Text(100_000, blank="")] | None = None
    pr_url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,2000}$")] | None = None
    error: Annotated[str, Text(2_000, blank="")] | None = None
    outcome: FixOutcome | None = None

    def report(self, token: int | None) -> Report:
        """Return it as the service takes it; `token` is the fencing token of the launch that reports."""
        state: JobState | None = self.state
        is_retry = self.status == "pending" and token is not None  # the launcher decides on retries, no program
        if state is None and self.status is not None and not is_retry:
            state = state_of(self.status)
        return Report(
            state,
            log=self.logs,
            pr_url=self.pr_url,
            error=self.error,
            token=token,
            cost_usd=self.cost_usd,
            outcome=self.outcome and cleaned(self.outcome),
        )


class JobOut(BaseModel):
    """A job; `logs` holds its log lines and is null in lists.

    `state` says more than `status`. `runner` is the launch backend, `attempt` the number of the job among those of its
    cluster, `launches` how often its program was launched, `task` the backend's name of the present launch. Money is in
    US dollars. A job that was recorded by POST /jobs has none of these.
    """

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    state: JobState
    logs: str | None
    pr_url: str | None
    pr_state: PullRequestState | None
    pr_checks: CheckState | None
    pr_merged_at: datetime | None
    pr_shipped_at: datetime | None
    error: str | None
    runner: str | None
    plan_id: str | None
    brief_id: str | None
    blob_url: str | None
    attempt: int | None
    launches: int
    task: str | None
    repository: str | None
    base_branch: str | None
    base_commit: str | None
    branch: str | None
    stop_at: StopPoint | None
    cost_usd: float
    budget_usd: float | None
    outcome: FixOutcome | None
    requested_by: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: Job, logs: Sequence[str] | None = None) -> "JobOut":
        """Return a job as the read model has it."""
        fix = job.fix
        options = None if fix is None else fix.options
        target = None if options is None else options.target
        return cls(
            id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            status=job.status,
            state=job.state,
            logs=None if logs is None else "\n".join(logs),
            pr_url=job.pr_url,
            pr_state=job.pr_state,
            pr_checks=job.pr_sight and job.pr_sight.checks,
            pr_merged_at=job.pr_sight and job.pr_sight.merged_at,
            pr_shipped_at=job.pr_sight and job.pr_sight.shipped_at,
            outcome=job.outcome,
            error=job.error,
            runner=options and options.backend,
            plan_id=options and options.plan_id,
            brief_id=options and options.brief_id,
            blob_url=job.archive_url,
            attempt=fix and fix.attempt,
            launches=job.launch,
            task=job.task,
            repository=target and target.repository,
            base_branch=target and target.base_branch,
            base_commit=target and target.base_commit,
            branch=fix and fix.branch,
            stop_at=options and options.stop_at,
            cost_usd=job.cost_usd,
            budget_usd=options and options.budget_usd,
            requested_by=fix and fix.requested_by,
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


class JobBriefOut(BaseModel):
    """The brief that a job was given; `id` is the SHA-256 of its text."""

    id: str
    job_id: str
    project_id: str
    text: str


class ApprovedOut(BaseModel):
    """Kafka has the approval of a job; GET /commands/{command_id} has its outcome."""

    status: Literal["ok"] = "ok"
    message: str = "Approval asked for"
    job_id: str
    command_id: str
    project_id: str
