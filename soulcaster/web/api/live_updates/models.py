"""The data of live updates."""

from typing import Literal

from pydantic import BaseModel

from soulcaster.domain.events import CommandOutcome
from soulcaster.domain.lifecycle import JobStatus


class JobNoticeOut(BaseModel):
    """A job has reached a status."""

    id: str
    cluster_id: str
    status: JobStatus


class CommandNoticeOut(BaseModel):
    """A command has an outcome."""

    id: str
    outcome: CommandOutcome


class NoticeOut(BaseModel):
    """The data of an event `changed` of GET /events: the ids of what changed; docs/api.md explains the fields."""

    items: int
    clusters: list[str]
    more_clusters: bool
    jobs: list[JobNoticeOut]
    commands: list[CommandNoticeOut]
    clustering: Literal["idle", "pending", "running"] | None
