"""A backend that changes nothing: it says what a coding agent would do, to show and test the whole path."""

import asyncio
from collections.abc import Awaitable, Callable

from soulcaster.domain.lifecycle import JobState
from soulcaster.ports.launch_backend import Launch, Task

Report = Callable[[str, int, JobState, str], Awaitable[None]]
"""Publishes a report: the job token, its number, the state and a line for the log."""

_REPORTS: tuple[tuple[JobState, str], ...] = (
    ("running", "dry run: a coding agent would now read the brief and the repository"),
    ("running", "dry run: it would change the code and run the tests"),
    ("publishing", "dry run: it would open a draft pull request"),
    ("succeeded", "dry run: done, nothing was changed"),
)


class DryRun:
    """LaunchBackend whose program is a task of this process that takes a moment, reports and succeeds.

    A launcher that starts again after a crash begins the task again: it is nothing but its reports, and a report that
    is sent twice counts once.
    """

    name = "dry-run"

    def __init__(self, report: Report, step_seconds: float = 0.5) -> None:
        """`step_seconds` is how long each step takes, so that people can watch."""
        self._report = report
        self._step_seconds = step_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[str] = set()

    async def launch(self, launch: Launch) -> Task:
        """Begin the task, unless it runs or was stopped."""
        if launch.key not in self._tasks and launch.key not in self._stopped:
            self._tasks[launch.key] = asyncio.create_task(self._run(launch))
        return self._seen(launch)

    async def observe(self, launch: Launch) -> Task:
        """Return the state of the task, which begins now if this process has not begun it."""
        return await self.launch(launch)

    async def stop(self, launch: Launch) -> None:
        """Cancel the task."""
        self._stopped.add(launch.key)
        task = self._tasks.get(launch.key)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """Cancel all tasks; a launcher that starts again begins them again."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def task(self, launch: Launch) -> asyncio.Task[None] | None:
        """Return the task of a launch in this process, None where it has not begun."""
        return self._tasks.get(launch.key)

    async def _run(self, launch: Launch) -> None:
        for seq, (state, line) in enumerate(_REPORTS, start=1):
            await self._report(launch.token, seq, state, line)
            await asyncio.sleep(self._step_seconds)

    def _seen(self, launch: Launch) -> Task:
        task = self._tasks.get(launch.key)
        task_id = f"dry run {launch.key}"
        if task is None or task.cancelled():
            return Task(task_id, "ended", "it was stopped")
        if not task.done():
            return Task(task_id, "running")
        error = task.exception()
        return Task(task_id, "ended", "it is done" if error is None else f"it failed: {error!r}")
