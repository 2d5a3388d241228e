"""Publishing steps of jobs to job.events."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from soulcaster.domain.ids import step_id_for
from soulcaster.domain.lifecycle import Job, JobState, JobStep
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import JOB_EVENTS


class JobSteps:
    """Publishes steps of jobs."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock

    async def publish(self, step: JobStep) -> None:
        """Publish a step.

        Raises:
            Unavailable: Kafka does not acknowledge it.
        """
        message = Outgoing(JOB_EVENTS.name, step.project_id.encode(), JobEvent.of(step).to_bytes())
        await self._publisher.publish([message])

    def next(self, job: Job, state: JobState, *, key: str | None = None, **fields: Any) -> JobStep:
        """Return the next step of a job; the same `key` and fields give the same step, without a key it is a new one.

        Its time is not before the job's newest step, because clocks differ.
        """
        content = (state, *(f"{name}={value}" for name, value in sorted(fields.items()) if value is not None))
        at: datetime = max(self._clock(), job.updated_at)
        return JobStep(
            id=str(uuid4()) if key is None else step_id_for(job.id, key, *content),
            job_id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            seq=job.seq + 1,
            state=state,
            at=at,
            **fields,
        )
