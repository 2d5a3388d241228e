"""Notices: what changed in a project, as it happens."""

from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.events import CommandOutcome
from soulcaster.domain.lifecycle import JobStatus

NO_NOTICE = "0-0"
"""The id before that of any notice. Ids grow: two numbers with a hyphen, compared as numbers."""


@dataclass(frozen=True, slots=True)
class JobNotice:
    """A job has got to a status."""

    id: str
    cluster_id: str
    status: JobStatus


@dataclass(frozen=True, slots=True)
class CommandNotice:
    """Something became of a command."""

    id: str
    outcome: CommandOutcome


@dataclass(frozen=True, slots=True)
class Notice:
    """What changed in a project, for whoever shows it: no more than where to look.

    `items` is how many items came in or came anew. `clusters` are those that changed, were emptied or merged; with
    `more_clusters` there were more than are named. `clustering` is its state, where its status was told.
    """

    items: int = 0
    clusters: tuple[str, ...] = ()
    more_clusters: bool = False
    jobs: tuple[JobNotice, ...] = ()
    commands: tuple[CommandNotice, ...] = ()
    clustering: Literal["idle", "pending", "running"] | None = None
