"""Jobs as the read model shows them."""

from collections.abc import Sequence
from typing import Protocol

from soulcaster.domain.lifecycle import Job
from soulcaster.ports.paging import Page

MAX_STEP_LOG_BYTES = 64 * 1024
"""How much the read model keeps of the log lines of a job's steps, the first of them."""


class JobReader(Protocol):
    """Reads jobs.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def list(
        self, project_id: str, *, cluster_id: str | None = None, limit: int, offset: int, after: str | None = None
    ) -> Page[Job]:
        """Return one page of jobs, newest first; of one cluster where given, an alias is resolved."""

    async def get(self, job_id: str) -> Job | None:
        """Return one job, or None."""

    async def of_branch(self, project_id: str, branch: str) -> tuple[Job, ...]:
        """Return the jobs of a project that work on a branch: one that made it, and those that went on with it."""

    async def followed(self) -> tuple[Job, ...]:
        """Return the jobs of all projects whose pull request somebody has to look at (`follows_pull_request`)."""

    async def active(self) -> int:
        """Return how many jobs of all projects are approved and have not ended; recorded ones do not count."""

    async def logs(self, job_id: str) -> tuple[str, ...]:
        """Return the log lines of a job's steps that are kept, oldest first."""

    async def logs_of(self, job_ids: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the log lines of each of these jobs, in one round trip."""
