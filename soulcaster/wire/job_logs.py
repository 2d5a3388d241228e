"""job.logs: what jobs print."""

from typing import Annotated

from pydantic import Field

from soulcaster.domain.fixes.job_log import MAX_CHUNK_BYTES, LogChunk
from soulcaster.domain.ids import ShortId
from soulcaster.wire.fields import ProjectId, Time
from soulcaster.wire.message import Message


class JobLog(Message):
    """job.logs: whole lines of a job's log, redacted; without text, a sign that its program runs.

    `token` is the fencing token of the launch that wrote them, null for lines of others than a job's program.
    """

    job_id: ShortId
    project_id: ProjectId
    token: Annotated[int, Field(ge=0)] | None = None
    at: Time
    text: Annotated[str, Field(max_length=MAX_CHUNK_BYTES)] = ""

    def chunk(self, offset: int) -> LogChunk:
        """Return the lines as the domain has them, read at this offset."""
        return LogChunk(self.job_id, self.token, self.at, self.text, offset)
