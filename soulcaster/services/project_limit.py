"""How many projects messages may make: whoever may write to feedback.raw names them, and each takes time and memory."""

from collections.abc import Collection, Sequence, Set

import structlog
from cachetools import LRUCache

from soulcaster.errors import Conflict, Unavailable
from soulcaster.ports.projects import ExistingProjects

_KNOWN = 10_000
"""Ids of projects that are remembered."""

log = structlog.get_logger(__name__)


class ProjectLimit:
    """Knows which projects are too many; those that it let pass count before the read model has them."""

    def __init__(self, projects: ExistingProjects, most: int) -> None:
        """`most`: so many projects there may be before a message makes no more."""
        self._projects = projects
        self._most = most
        self._known: LRUCache[str, None] = LRUCache(_KNOWN)
        self._made: set[str] = set()

    @property
    def reason(self) -> str:
        """Return why a project is too many, in words for whoever sent its items."""
        return (
            f"its project does not exist, and feedback makes no new one once there are {self._most} "
            "(SOULCASTER_PROJECTS_FROM_FEEDBACK): create the project, then send this again"
        )

    async def beyond(self, named: Collection[str]) -> Set[str]:
        """Return which of these projects do not exist, and are too many; the others may be made.

        Raises:
            Unavailable: Redis does not answer.
        """
        missing, room = await self._missing(named)
        self._made.update(missing[:room])
        return set(missing[room:])

    async def check(self, named: Collection[str]) -> None:
        """Return if these projects exist or may be made, or nobody can tell now: the agent `normalize` asks again.

        Raises:
            Conflict: one may not be made.
        """
        try:
            missing, room = await self._missing(named)
        except Unavailable as error:  # what comes in needs Kafka alone
            log.warning("accepted without knowing whether its projects exist", cause=str(error))
            return
        if len(missing) > room:
            raise Conflict(f"{missing[room]!r} is refused: {self.reason}.")

    async def _missing(self, named: Collection[str]) -> tuple[Sequence[str], int]:
        """Return which of these projects do not exist, by id, and how many of them may be made."""
        new = {*named} - self._known.keys() - self._made
        if not new:
            return (), 0
        count, existing = await self._projects.among(sorted(new | self._made))
        self._made -= existing
        self._known.update(dict.fromkeys(existing))
        return sorted(new - existing), max(0, self._most - count - len(self._made))
