"""Notices: what changed in a project, as it happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from soulcaster.domain.events import CommandOutcome
from soulcaster.domain.lifecycle import JobStatus

NO_NOTICE = "0-0"
"""An id before that of every notice. Ids are two numbers with a hyphen, compared as numbers, and they grow."""


@dataclass(frozen=True, slots=True)
class JobNotice:
    """A job and the status it now has."""

    id: str
    cluster_id: str
    status: JobStatus


@dataclass(frozen=True, slots=True)
class CommandNotice:
    """A command and its outcome."""

    id: str
    outcome: CommandOutcome


@dataclass(frozen=True, slots=True)
class Notice:
    """What changed in a project: ids and counts, no content.

    `items` counts new and changed items. `clusters` are those that changed, were emptied or merged; `more_clusters`
    means that there were more than these. `clustering` is the new state of the project's clustering, if it changed.
    """

    items: int = 0
    clusters: tuple[str, ...] = ()
    more_clusters: bool = False
    jobs: tuple[JobNotice, ...] = ()
    commands: tuple[CommandNotice, ...] = ()
    clustering: Literal["idle", "pending", "running"] | None = None


class NoticeReader(Protocol):
    """Reads notices. The newest few hundred of a project are kept; clearing the read model keeps them.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def after(self, positions: Mapping[str, str], *, limit: int) -> Mapping[str, Sequence[tuple[str, Notice]]]:
        """Return what came after an id (project id -> notice id); never waits for more.

        Returns:
            By project the ids and notices, oldest first, at most `limit` each; only projects that have any.
        """

    async def span(self, project_id: str) -> tuple[str, str]:
        """Return the ids of a project's oldest and newest notice; `NO_NOTICE` twice where there are none."""
