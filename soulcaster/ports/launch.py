"""Backends that run coding agents."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from soulcaster.domain.commands import Fix
from soulcaster.domain.lifecycle import JobStatus


@dataclass(frozen=True, slots=True)
class Progress:
    """What a launched job reports; its last report is a success or a failure."""

    status: JobStatus
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None


class LaunchBackend(Protocol):
    """A system that runs coding agents."""

    @property
    def name(self) -> str:
        """Its name in logs."""

    def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        """Run a job and yield its progress; launching the same job again must not do its work twice."""

    async def stop(self, fix: Fix) -> None:
        """Stop a job wherever it runs, even if a process that has died launched it; do nothing where it does not run.

        Raises:
            Unavailable: the backend does not answer; the same call may succeed later.
        """
