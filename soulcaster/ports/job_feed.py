"""The log of one job, followed while it runs."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from soulcaster.domain.lifecycle import Job
from soulcaster.ports.messaging import Record


class JobWatch(Protocol):
    """A job as its log on Kafka says it is; it follows the log as long as it is open.

    Every method raises KafkaUnavailable (an Unavailable) when Kafka does not answer; then a new watch is needed.
    """

    @property
    def job(self) -> Job | None:
        """The job after the steps read so far; None while there are none."""

    @property
    def heard_at(self) -> datetime | None:
        """When the program of the present launch was last heard of, by this machine's clock; None if not yet."""

    async def changed(self, since: Job | None, seconds: float) -> None:
        """Return when the job is another than `since`, or after `seconds`."""

    async def caught_up(self) -> None:
        """Return when everything has been read that Kafka had acknowledged at the time of the call."""


class JobFeed(Protocol):
    """Follows jobs."""

    def watch(self, job_id: str, asked: Record) -> AbstractAsyncContextManager[JobWatch]:
        """Give a watch that has read the job's whole log so far.

        `asked` is the record of fix.commands that asks for the job; no step of a launch can be older.
        """
