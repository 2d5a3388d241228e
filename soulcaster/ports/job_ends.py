"""The ends of jobs."""

from typing import Protocol

from soulcaster.ports.messaging import Record


class JobEnds(Protocol):
    """Tells of the ends of jobs, whoever ended them; what is on job.events, and no memory of its own.

    `asked` is the record of fix.commands that asks for the job: nothing ended it before.
    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time.
    """

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        """Tell whether the job has ended by what Kafka had acknowledged when this was called."""

    async def until_ended(self, job_id: str, asked: Record) -> None:
        """Return once the job has ended."""
