"""The logs of jobs as the read model has them: the newest part of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.domain.fixes.job_log import LogChunk, StepLine

MAX_LOG_BYTES = 5 * 1024 * 1024
"""How much the read model keeps of a job's log. Each chunk counts `CHUNK_BYTES` more than its text has."""

MAX_LOGS = 100
"""Jobs of a project whose logs the read model keeps: those that were written last. The archive has the others."""

CHUNK_BYTES = 100
"""What a chunk takes besides its text, about."""


@dataclass(frozen=True, slots=True)
class LogView:
    """A part of a job's log.

    `more` means that more is kept behind it. `dropped` is how many bytes of the log are no longer kept, and `is_gap`
    that the reader has not read all of these.
    """

    chunks: Sequence[LogChunk]
    more: bool
    dropped: int
    is_gap: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of a job's program: when it came, and the fencing token of its launch."""

    at: datetime
    token: int


class JobLogReader(Protocol):
    """Reads logs of jobs.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def read(self, job_id: str, first: int, *, limit_bytes: int) -> LogView:
        """Return the chunks whose offset on job.logs is at least `first`, oldest first.

        Their texts have at most `limit_bytes` together, or there is only one chunk.
        """

    async def steps(self, job_id: str) -> Sequence[StepLine]:
        """Return the log lines of the job's steps, oldest first."""

    async def heartbeat(self, job_id: str) -> Heartbeat | None:
        """Return the last sign of the job's program; None where it gave none, or none for so long that it expired."""
