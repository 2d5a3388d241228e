"""The queries, bodies and responses of the logs of jobs."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from soulcaster.domain.fixes.log_position import POSITION_PATTERN
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.web.bodies import TextBody
from soulcaster.web.parameters import ProjectQuery


class JobLogQuery(ProjectQuery):
    """Query of GET /jobs/{id}/logs: where to begin, and whether to follow the log as Server-Sent Events."""

    after: Annotated[str, Field(pattern=POSITION_PATTERN)] | None = None
    stream: bool = False


class JobLogIn(TextBody):
    """POST /jobs/{id}/logs: whole lines; without text, a sign that the program runs."""

    text: str = ""


class JobLogAppendedOut(BaseModel):
    """Kafka has the lines; `job_status` tells the program whether its job has been ended."""

    status: Literal["ok"] = "ok"
    job_id: str
    project_id: str
    job_status: JobStatus


class JobLogsOut(BaseModel):
    """GET /jobs/{id}/logs: a part of the log, in chunks of whole lines.

    `source` is the read model (memory) or the archive (blob). `position` is behind the part; `next` is the same while
    more can be read now, else null. `dropped` is how many bytes are missing before the part.
    """

    job_id: str
    project_id: str
    source: Literal["memory", "blob"]
    chunks: list[str]
    dropped: int
    position: str
    next: str | None


class JobLogEventOut(BaseModel):
    """The data of an event `log`: whole lines, and how many bytes of the log are missing before them."""

    text: str
    dropped: int
