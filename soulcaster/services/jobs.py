"""Telling of jobs: what a person or an agent says of one, sent as a step on job.events."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from soulcaster.domain.ids import recorded_job_id, step_id_for
from soulcaster.domain.lifecycle import Job, JobStatus, active, advance, may_become, start
from soulcaster.errors import IllegalTransition, NotFound
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.cluster_commands import known_cluster
from soulcaster.web.dependencies import Dependencies
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS

_POLL_SECONDS = 0.05

_CANCELLED = "cancelled by "


async def known_job(services: Dependencies, project_id: str, job_id: str) -> Job:
    """Return a job of this project.

    Raises:
        NotFound: it has none of that id.
        Unavailable: Redis does not answer.
    """
    job = await services.read_model.job(job_id)
    if job is None or job.project_id != project_id:
        raise NotFound("Job not found for project")
    return job


async def record_job(services: Dependencies, project_id: str, cluster_id: str, *, by: str, key: str | None) -> Job:
    """Tell of a new job of a cluster, which nobody launches, and return it once Kafka has it.

    `key` is the client's own: told again under it, it is the job it was.

    Raises:
        NotFound: there is no such cluster in this project.
        Unavailable: Kafka or Redis does not answer.
    """
    cluster = await known_cluster(services, project_id, cluster_id)
    job_id = str(uuid4()) if key is None else recorded_job_id(project_id, key)
    known = None if key is None else await services.read_model.job(job_id)
    if known is not None:
        return known
    event = JobEvent(
        job_id=job_id,
        project_id=project_id,
        cluster_id=cluster.id,
        seq=0,
        status="pending",
        at=services.clock(),
        log=f"recorded by {by}",
    )
    await _tell(services, event)
    return start(event.step())


async def tell_of_job(
    services: Dependencies,
    job: Job,
    status: JobStatus | None,
    *,
    log: str | None = None,
    pr_url: str | None = None,
    error: str | None = None,
    key: str | None = None,
) -> Job:
    """Tell of a step of a job, and return the job with it once Kafka has it; no status is the one it has.

    Others may tell of it at the same time: what becomes of the job is what all steps make of it. `key` is the client's
    own: told again under it, it is the same step.

    Raises:
        IllegalTransition: it cannot have this status any more.
        Unavailable: Kafka does not answer.
    """
    may_become(job, status or job.status)
    said = (status or "", log or "", pr_url or "", error or "")
    event = JobEvent(
        id=str(uuid4()) if key is None else step_id_for(job.id, key, *said),
        job_id=job.id,
        project_id=job.project_id,
        cluster_id=job.cluster_id,
        seq=job.seq + 1,
        status=status or job.status,
        at=_after(job, services.clock()),
        log=log,
        pr_url=pr_url,
        error=error,
    )
    await _tell(services, event)
    return advance(job, event.step())


async def cancel_job(services: Dependencies, job: Job, *, by: str) -> Job:
    """Tell that a job is cancelled, and return it so once Kafka has it; one that was cancelled stays as it is.

    Raises:
        IllegalTransition: it has ended otherwise.
        Unavailable: Kafka does not answer.
    """
    if job.status == "failed" and (job.error or "").startswith(_CANCELLED):
        return job
    if not active(job):
        raise IllegalTransition(f"The job has ended: it is {job.status}.")
    error = f"{_CANCELLED}{by}"
    return await tell_of_job(services, job, "failed", log=error, error=error)


async def shows(services: Dependencies, job_id: str, fits: Callable[[Job], bool], seconds: float) -> Job | None:
    """Return the job as soon as it is read so, or None after so many seconds.

    Raises:
        Unavailable: Redis does not answer.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        job = await services.read_model.job(job_id)
        if job is not None and fits(job):
            return job
        if loop.time() >= until:
            return None
        await asyncio.sleep(min(_POLL_SECONDS, seconds))


def _after(job: Job, now: datetime) -> datetime:
    """Return the time of a step that follows what is known of a job: clocks differ, and what is said last is last."""
    return max(now, job.updated_at)


async def _tell(services: Dependencies, event: JobEvent) -> None:
    message = Outgoing(JOB_EVENTS.name, event.project_id.encode(), event.to_bytes())
    await services.publisher.publish([message])
