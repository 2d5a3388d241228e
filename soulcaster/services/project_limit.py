"""How many projects messages may make: whoever may write to feedback.raw names them, and each takes time and memory."""

from collections.abc import Collection, Set

from cachetools import LRUCache

from soulcaster.ports.projects import ExistingProjects

_KNOWN = 10_000
"""Ids of projects that are remembered."""


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
        new = {*named} - self._known.keys() - self._made
        if not new:
            return set()
        count, existing = await self._projects.among(sorted(new | self._made))
        self._made -= existing
        self._known.update(dict.fromkeys(existing))
        missing = sorted(new - existing)
        room = max(0, self._most - count - len(self._made))
        self._made.update(missing[:room])
        return set(missing[room:])
