"""From fix commands to jobs: each command is run to its end, its steps told on job.events, and only then committed.

A command delivered again after a crash runs again under the same job id; steps the job has had already change nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from pydantic import ValidationError

from soulcaster.failures import dead_letter, set_aside, until_available
from soulcaster.messages import FixCommand, JobEvent
from soulcaster.ports import Clock, LaunchBackend, Outgoing, Progress, Publisher, Record
from soulcaster.topics import JOB_EVENTS

log = structlog.get_logger(__name__)


async def launch_all(
    records: AsyncIterator[Record],
    *,
    backend: LaunchBackend,
    publisher: Publisher,
    clock: Clock,
    commit: Callable[[Record], Awaitable[None]],
) -> None:
    """Launch what records of fix.commands ask for, one after the other, for as long as there are any.

    Raises:
        KafkaUnavailable: a dead letter could not be sent; the record is not committed.
    """
    async for record in records:
        try:
            command = FixCommand.model_validate_json(record.value or b"")
        except ValidationError as error:
            await set_aside(publisher, [dead_letter(record, f"launcher: {error}")])
        else:
            await _run(command, backend, publisher, clock)
        await until_available(lambda record=record: commit(record))  # type: ignore[misc]


async def _run(command: FixCommand, backend: LaunchBackend, publisher: Publisher, clock: Clock) -> None:
    seq = 0
    ended = False

    async def tell(progress: Progress) -> None:
        nonlocal seq, ended
        seq += 1
        ended = progress.status in {"success", "failed"}
        event = JobEvent(
            job_id=command.job_id,
            project_id=command.project_id,
            cluster_id=command.cluster_id,
            seq=seq,
            status=progress.status,
            at=clock(),
            log=progress.log,
            pr_url=progress.pr_url,
            error=progress.error,
        )
        message = Outgoing(JOB_EVENTS.name, command.project_id.encode(), event.to_bytes())
        await until_available(lambda: publisher.publish([message]))

    log.info("launching", backend=backend.name, job=command.job_id, cluster=command.cluster_id)
    try:
        async for progress in backend.launch(command.fix()):
            await tell(progress)
        if not ended:
            raise RuntimeError("it came to its end without a success or a failure")
    except Exception as error:
        log.exception("a launch failed", backend=backend.name, job=command.job_id)
        await tell(Progress("failed", f"{backend.name}: {error!r}", error=str(error) or repr(error)))
