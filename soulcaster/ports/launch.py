"""Where coding agents run."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from soulcaster.domain.commands import Fix
from soulcaster.domain.lifecycle import JobStatus


@dataclass(frozen=True, slots=True)
class Progress:
    """What a launched job says of itself; the last one is a success or a failure."""

    status: JobStatus
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None


class LaunchBackend(Protocol):
    """Where coding agents run."""

    @property
    def name(self) -> str:
        """What it is called in logs."""

    def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        """Run the job and yield its progress; launching the same job again must not do its work twice."""

    async def stop(self, fix: Fix) -> None:
        """Stop the job wherever it runs, also where a process that has died launched it; harmless where it does not.

        Raises:
            Unavailable: it cannot be told now; the same call may succeed later.
        """
