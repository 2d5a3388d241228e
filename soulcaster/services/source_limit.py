"""How many sources a project may have: whoever may post names them, and every list of sources has all of them."""

from collections.abc import Collection, Sequence, Set

from cachetools import LRUCache

from soulcaster.errors import Conflict
from soulcaster.ports.sources import SourceReader
from soulcaster.wire.fields import OTHER_SOURCE
from soulcaster.wire.project_config import SourcesConfig

_OWN = frozenset({*SourcesConfig.model_fields, "manual", OTHER_SOURCE})
"""Sources that do not count."""

_PROJECTS = 10_000
"""Projects whose sources are remembered."""


class SourceLimit:
    """Knows the sources beyond the limit; those that it let pass count before the read model has them."""

    def __init__(self, sources: SourceReader, most: int) -> None:
        self._sources = sources
        self._most = most
        self._known: LRUCache[str, set[str]] = LRUCache(_PROJECTS)

    async def used(self, project_id: str) -> int:
        """Return how many sources of its own a project has.

        Raises:
            Unavailable: Redis does not answer.
        """
        return len(await self._stored(project_id))

    async def check(self, project_id: str, named: Collection[str]) -> None:
        """Return when the project has these sources, or may have them.

        Raises:
            Conflict: it would have too many.
            Unavailable: Redis does not answer.
        """
        known, new = await self._new(project_id, named)
        if len(known) + len(new) > self._most and new:
            raise Conflict(
                f"The project has {len(known)} sources of its own, and {new[0]!r} is not one of them; it may have "
                f"{self._most} (SOULCASTER_SOURCES_PER_PROJECT). Use one that GET /sources lists."
            )
        self._keep(project_id, known, new)

    async def beyond(self, project_id: str, named: Collection[str]) -> Set[str]:
        """Return which of these sources are too many; the project may have the others.

        Raises:
            Unavailable: Redis does not answer.
        """
        known, new = await self._new(project_id, named)
        room = max(0, self._most - len(known))
        self._keep(project_id, known, new[:room])
        return set(new[room:])

    async def _new(self, project_id: str, named: Collection[str]) -> tuple[Set[str], Sequence[str]]:
        """Return the project's own sources, and those named that are not among them, by name."""
        known = self._known.get(project_id, set())
        new = set(named) - known - _OWN
        if new:
            known = known | await self._stored(project_id)
        return known, sorted(new - known)

    async def _stored(self, project_id: str) -> Set[str]:
        return {state.source for state in await self._sources.list(project_id)} - _OWN

    def _keep(self, project_id: str, known: Set[str], new: Sequence[str]) -> None:
        if known or new:
            self._known[project_id] = {*known, *new}
