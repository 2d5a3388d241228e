"""Jobs as people and coding agents report them: each report is a step on job.events."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.ids import recorded_job_id, step_id_for
from soulcaster.domain.lifecycle import Job, JobState, JobStep, active, advance, may_become, start
from soulcaster.errors import Fenced, IllegalTransition
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.messaging import Publisher
from soulcaster.services.job_steps import JobSteps
from soulcaster.services.lookup import known_cluster
from soulcaster.services.waiting import until

POLL_SECONDS = 0.05
"""Pause between two reads of a job that a caller waits for."""


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody reports of a job; `token` is the fencing token of the launch that reports, None for people."""

    state: JobState | None = None
    log: str | None = None
    pr_url: str | None = None
    error: str | None = None
    token: int | None = None
    cost_usd: float | None = None
    outcome: FixOutcome | None = None


class Jobs:
    """Records, reports and cancels jobs.

    A step that is sent again with the same idempotency key is the same step and changes nothing.
    """

    def __init__(self, publisher: Publisher, jobs: JobReader, clusters: ClusterReader, clock: Clock) -> None:
        self._steps = JobSteps(publisher, clock)
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
        log = f"recorded by {by}"
        own_id = step_id_for(job_id, "0", "pending", log)
        step = JobStep(own_id, job_id, project_id, cluster.id, 0, "approved", self._clock(), log=log)
        await self._steps.publish(step)
        return start(step)

    async def report(self, job: Job, report: Report, *, idempotency_key: str | None = None) -> Job:
        """Publish a step of a job, and return the job with it; without a state the job keeps the one it has.

        Others may report steps at the same time; the job is what all steps make of it (`domain.lifecycle`).

        Raises:
            Fenced: the report carries a token, and a newer launch has begun or the job has ended.
            IllegalTransition: the job can no longer have this state.
            Unavailable: Kafka does not acknowledge it.
        """
        if report.token is not None and report.token < job.fence:
            raise Fenced
        if report.token is not None and not active(job):
            if report.cost_usd is not None:  # what it has spent counts, whoever ended it
                step = self._steps.next(job, job.state, token=report.token, cost_usd=report.cost_usd)
                await self._steps.publish(step)
            raise Fenced
        may_become(job, report.state or job.state)
        step = self._steps.next(
            job,
            report.state or job.state,
            key=idempotency_key,
            log=report.log,
            pr_url=report.pr_url,
            error=report.error,
            token=report.token,
            cost_usd=report.cost_usd,
            outcome=report.outcome,
        )
        await self._steps.publish(step)
        return advance(job, step)

    async def cancel(self, job: Job, *, by: str) -> Job:
        """Publish that a job is cancelled, and return it; a job that was cancelled before stays as it is.

        Raises:
            IllegalTransition: the job has ended in another way.
            Unavailable: Kafka does not acknowledge it.
        """
        if job.state == "cancelled":
            return job
        if not active(job):
            raise IllegalTransition(f"The job has ended: it is {job.status}.")
        error = f"cancelled by {by}"
        step = self._steps.next(job, "cancelled", log=error, error=error)
        await self._steps.publish(step)
        return advance(job, step)

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
