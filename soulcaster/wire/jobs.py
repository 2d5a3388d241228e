"""fix.commands and job.events: the jobs of coding agents."""

from typing import Annotated

from pydantic import Field

from soulcaster.domain.commands import Fix
from soulcaster.domain.ids import ShortId, step_id_for
from soulcaster.domain.lifecycle import JobStatus, JobStep
from soulcaster.wire.fields import ProjectId, Time
from soulcaster.wire.message import Message


class FixCommand(Message):
    """fix.commands: launch a coding agent for a cluster, because a person asked. A request has one `job_id`."""

    job_id: str
    project_id: ProjectId
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: Time

    def fix(self) -> Fix:
        """Return the fix as the domain has it."""
        return Fix(self.job_id, self.cluster_id, self.cluster_title, self.requested_by, self.requested_at)


class JobEvent(Message):
    """job.events: a step of a job. `id` makes a second delivery harmless; without it, the content does."""

    id: ShortId | None = None
    job_id: str
    project_id: ProjectId
    cluster_id: str
    seq: Annotated[int, Field(ge=0)]
    status: JobStatus
    at: Time
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None

    def step(self) -> JobStep:
        """Return the step as `lifecycle.advance` takes it."""
        content = (str(self.seq), self.status, self.log or "", self.pr_url or "", self.error or "")
        step_id = self.id or step_id_for(self.job_id, *content)
        return JobStep(**{**self.model_dump(exclude={"schema_version"}), "id": step_id})
