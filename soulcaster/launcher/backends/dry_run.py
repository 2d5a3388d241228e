"""A backend that changes nothing: it logs what a coding agent would do, to show and test the whole path."""

import asyncio
from collections.abc import AsyncGenerator

from soulcaster.domain.commands import Fix
from soulcaster.ports.launch import Progress


class DryRun:
    """LaunchBackend that takes a moment, logs and succeeds, without a pull request."""

    name = "dry run"

    def __init__(self, step_seconds: float = 0.5) -> None:
        """`step_seconds` is how long each step takes, so that people can watch."""
        self._step_seconds = step_seconds

    async def launch(self, fix: Fix) -> AsyncGenerator[Progress, None]:
        """Yield the steps that a coding agent would take."""
        yield Progress("running", f"dry run: a coding agent would now be sent for “{fix.cluster_title}”")
        for line in (
            "dry run: it would read the cluster's items and the repository",
            "dry run: it would change the code, run the tests and open a draft pull request",
        ):
            await asyncio.sleep(self._step_seconds)
            yield Progress("running", line)
        await asyncio.sleep(self._step_seconds)
        yield Progress("success", "dry run: done, nothing was changed")

    async def stop(self, fix: Fix) -> None:
        """Do nothing: the job runs only within `launch`."""
