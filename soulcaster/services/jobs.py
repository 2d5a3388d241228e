"""Jobs as people and coding agents report them: each report is a step on job.events."""

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from soulcaster.domain.ids import recorded_job_id, step_id_for
from soulcaster.domain.lifecycle import Job, JobStatus, active, advance, may_become, start
from soulcaster.errors import IllegalTransition
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.lookup import known_cluster
from soulcaster.services.waiting import until
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS

POLL_SECONDS = 0.05
"""Pause between two reads of a job that a caller waits for."""

_CANCELLED = "cancelled by "


class Jobs:
    """Records, reports and cancels jobs.

    A step that is sent again with the same idempotency key is the same step and changes nothing.
    """

    def __init__(self, publisher: Publisher, jobs: JobReader, clusters: ClusterReader, clock: Clock) -> None:
        self._publisher = publisher
        self._jobs = jobs
        self._clusters = clusters
        self._clock = clock

    async def record(self, project_id: str, cluster_id: str, *, by: str, idempotency_key: str | None) -> Job:
        """Publish a new pending job of a cluster, which no launcher runs, and return it.

        With an idempotency key that was used before, this returns the job of that time.

        Raises:
            NotFound: the project has no such cluster.
            Unavailable: Kafka or Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        job_id = str(uuid4()) if idempotency_key is None else recorded_job_id(project_id, idempotency_key)
        known = None if idempotency_key is None else await self._jobs.get(job_id)
        if known is not None:
            return known
        event = JobEvent(
            job_id=job_id,
            project_id=project_id,
            cluster_id=cluster.id,
            seq=0,
            status="pending",
            at=self._clock(),
            log=f"recorded by {by}",
        )
        await self._publish(event)
        return start(event.step())

    async def report(
        self,
        job: Job,
        status: JobStatus | None,
        *,
        log: str | None = None,
        pr_url: str | None = None,
        error: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Publish a step of a job, and return the job with it; without a status the job keeps the one it has.

        Others may report steps at the same time, and the job is what all steps make of it (`domain.lifecycle`).

        Raises:
            IllegalTransition: the job can no longer have this status.
            Unavailable: Kafka does not acknowledge it.
        """
        may_become(job, status or job.status)
        content = (status or "", log or "", pr_url or "", error or "")
        event = JobEvent(
            id=str(uuid4()) if idempotency_key is None else step_id_for(job.id, idempotency_key, *content),
            job_id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            seq=job.seq + 1,
            status=status or job.status,
            at=_not_before(job, self._clock()),
            log=log,
            pr_url=pr_url,
            error=error,
        )
        await self._publish(event)
        return advance(job, event.step())

    async def cancel(self, job: Job, *, by: str) -> Job:
        """Publish that a job is cancelled, and return it; a job that was cancelled before stays as it is.

        Raises:
            IllegalTransition: the job has ended in another way.
            Unavailable: Kafka does not acknowledge it.
        """
        if job.status == "failed" and (job.error or "").startswith(_CANCELLED):
            return job
        if not active(job):
            raise IllegalTransition(f"The job has ended: it is {job.status}.")
        error = f"{_CANCELLED}{by}"
        return await self.report(job, "failed", log=error, error=error)

    async def until(self, job_id: str, matches: Callable[[Job], bool], *, seconds: float) -> Job | None:
        """Return the job as soon as it is read in a state that `matches`, or None after `seconds`.

        Raises:
            Unavailable: Redis does not answer.
        """
        job = await until(
            lambda: self._jobs.get(job_id),
            lambda job: job is not None and matches(job),
            seconds=seconds,
            poll_seconds=POLL_SECONDS,
        )
        return job if job is not None and matches(job) else None

    async def _publish(self, event: JobEvent) -> None:
        await self._publisher.publish([Outgoing(JOB_EVENTS.name, event.project_id.encode(), event.to_bytes())])


def _not_before(job: Job, now: datetime) -> datetime:
    """Return the time of a step that follows the known ones: clocks differ, and the newest step has to be the last."""
    return max(now, job.updated_at)
