"""Runs the jobs of fix.commands, several at once, and commits each command once its job has ended.

Commands that wait are few: a cluster has one job at a time, and projects have limits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from pydantic import ValidationError

from soulcaster.launcher.cancelling import cancelled
from soulcaster.launcher.commits import OrderedCommits
from soulcaster.launcher.job_run import JobRun, Launching
from soulcaster.ports.messaging import Record
from soulcaster.services.dead_letters import dead_letter, send_dead_letters
from soulcaster.services.fair_turns import FairTurns
from soulcaster.services.retrying import until_available
from soulcaster.wire.jobs import FixCommand

log = structlog.get_logger(__name__)


class JobRuns:
    """Runs jobs, at most `at_once`; further commands wait, and projects are served in turn.

    The jobs of one project leave a place to others, if there is more than one.
    """

    def __init__(self, launching: Launching, commit: Callable[[Record], Awaitable[None]], *, at_once: int) -> None:
        """`commit` commits a record and all before it in its partition."""
        self._given = launching
        self._commits = OrderedCommits(commit)
        self._turns = FairTurns(at_once, each=max(1, at_once - 1))
        self._runs: set[asyncio.Task[None]] = set()

    async def run(self, records: AsyncIterator[Record]) -> None:
        """Run a job for each record. When it is cancelled, what was launched goes on.

        Raises:
            KafkaUnavailable: a dead letter could not be sent; its record is not committed.
        """
        try:
            async with asyncio.TaskGroup() as group:
                async for record in records:
                    self._commits.begin(record)
                    run = group.create_task(self._run(record))
                    self._runs.add(run)
                    run.add_done_callback(self._runs.discard)
        except* Exception as errors:
            raise errors.exceptions[0] from errors

    async def let_go(self) -> None:
        """End all runs without stopping what they have launched: the new owners of the partitions go on with it."""
        self._commits.forget()
        await cancelled(*self._runs)

    async def _run(self, record: Record) -> None:
        try:
            command = FixCommand.model_validate_json(record.value or b"")
        except ValidationError as error:
            letter = dead_letter(record, f"launcher: {error}")
            await send_dead_letters(self._given.publisher, [letter], "invalid")
        else:
            async with self._turns.turn(command.project_id):
                await self._run_job(command, record)
        await until_available(lambda: self._commits.done(record))

    async def _run_job(self, command: FixCommand, record: Record) -> None:
        log.info("a job begins", job=command.job_id, backend=command.options.backend)
        run = JobRun(command, record, self._given)
        try:
            await run.run()
        except Exception as error:
            log.exception("a job cannot be run", job=command.job_id)
            await run.give_up(error)
