"""fix.commands and job.events: the jobs of coding agents."""

from dataclasses import replace
from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, Field

from soulcaster.domain.fixes.fix import DEFAULT_OPTIONS, Fix, FixOptions, Usd
from soulcaster.domain.fixes.outcome import FixOutcome, PullRequestState
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.ids import ShortId, step_id_for
from soulcaster.domain.lifecycle import NOT_IN_LOG, STATUSES, JobState, JobStatus, JobStep, state_of
from soulcaster.wire.fields import ProjectId, Time
from soulcaster.wire.message import Message


def _with_zones(sight: PullRequestSight) -> PullRequestSight:
    """Return a sight whose times can be compared with others: one without a zone is in UTC, as in `Time`."""
    times = {name: getattr(sight, name) for name in ("as_of", "merged_at", "shipped_at", "announced_at")}
    return replace(
        sight, **{name: at.replace(tzinfo=UTC) for name, at in times.items() if at is not None and at.tzinfo is None}
    )


_Sight = Annotated[PullRequestSight, AfterValidator(_with_zones)]


class FixCommand(Message):
    """fix.commands: run a job of a coding agent. The project's clusterer decided on it; a request has one `job_id`."""

    job_id: str
    project_id: ProjectId
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: Time
    attempt: int = 1
    branch: str = ""
    options: FixOptions = DEFAULT_OPTIONS

    @classmethod
    def of(cls, project_id: str, fix: Fix) -> "FixCommand":
        """Return the command that runs a fix."""
        return cls(
            project_id=project_id,
            job_id=fix.job_id,
            cluster_id=fix.cluster_id,
            cluster_title=fix.cluster_title,
            requested_by=fix.requested_by,
            requested_at=fix.requested_at,
            attempt=fix.attempt,
            branch=fix.branch,
            options=fix.options,
        )

    def fix(self) -> Fix:
        """Return the fix as the domain has it."""
        return Fix(
            self.job_id, self.cluster_id, self.cluster_title, self.requested_by, self.requested_at,
            self.attempt, self.branch, self.options,
        )  # fmt: skip


class JobEvent(Message):
    """job.events: a step of a job. `id` makes a second delivery harmless; without it, the content does.

    `status` is always there; `state` says more, and decides where both are given. The record's offset counts too
    (`domain.lifecycle`).
    """

    id: ShortId | None = None
    job_id: str
    project_id: ProjectId
    cluster_id: str
    seq: Annotated[int, Field(ge=0)]
    status: JobStatus
    state: JobState | None = None
    at: Time
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None
    token: int | None = None
    launch: Annotated[int, Field(ge=1)] | None = None
    task: Annotated[str, Field(max_length=2_000)] | None = None
    cost_usd: Usd | None = None
    archive_url: Annotated[str, Field(max_length=2_000)] | None = None
    fix: Fix | None = None
    pr_state: PullRequestState | None = None
    outcome: FixOutcome | None = None
    pr_sight: _Sight | None = None

    @classmethod
    def of(cls, step: JobStep) -> "JobEvent":
        """Return the record of a step."""
        return cls(
            id=step.id,
            job_id=step.job_id,
            project_id=step.project_id,
            cluster_id=step.cluster_id,
            seq=step.seq,
            status=STATUSES[step.state],
            state=step.state,
            at=step.at,
            log=step.log,
            pr_url=step.pr_url,
            error=step.error,
            token=step.token,
            launch=step.launch,
            task=step.task,
            cost_usd=step.cost_usd,
            archive_url=step.archive_url,
            fix=step.fix,
            pr_state=step.pr_state,
            outcome=step.outcome,
            pr_sight=step.pr_sight,
        )

    def step(self, offset: int = NOT_IN_LOG) -> JobStep:
        """Return the step as `lifecycle.advance` takes it, read at this offset."""
        content = (str(self.seq), self.status, self.log or "", self.pr_url or "", self.error or "")
        return JobStep(
            id=self.id or step_id_for(self.job_id, *content),
            job_id=self.job_id,
            project_id=self.project_id,
            cluster_id=self.cluster_id,
            seq=self.seq,
            state=self.state or state_of(self.status),
            at=self.at,
            log=self.log,
            pr_url=self.pr_url,
            error=self.error,
            token=self.token,
            launch=self.launch,
            task=self.task,
            cost_usd=self.cost_usd,
            archive_url=self.archive_url,
            fix=self.fix,
            offset=offset,
            pr_state=self.pr_state,
            outcome=self.outcome,
            pr_sight=self.pr_sight,
        )
