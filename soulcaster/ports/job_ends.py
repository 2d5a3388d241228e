"""The ends of jobs."""

from typing import Protocol

from soulcaster.ports.messaging import Record


class JobEnds(Protocol):
    """Reads from job.events whether jobs have ended; it remembers nothing itself.

    `asked` is the record of fix.commands that asks for the job; the job cannot have ended before it.
    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer in time.
    """

    async def has_ended(self, job_id: str, asked: Record) -> bool:
        """Return whether the job has ended, according to what Kafka had acknowledged at the time of the call."""

    async def until_ended(self, job_id: str, asked: Record) -> None:
        """Return as soon as the job has ended."""
