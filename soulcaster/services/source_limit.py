"""How many sources a project may have: whoever may post names them, and every list of sources has all of them."""

from collections import OrderedDict
from collections.abc import Collection

from soulcaster.errors import Conflict
from soulcaster.ports.sources import SourceReader
from soulcaster.wire.fields import OTHER_SOURCE
from soulcaster.wire.project_config import SourcesConfig

_OWN = frozenset({*SourcesConfig.model_fields, "manual", OTHER_SOURCE})
"""Sources that do not count."""

_PROJECTS = 10_000
"""Projects whose sources are remembered."""


class SourceLimit:
    """Refuses a source beyond the limit; those that it let pass count before the read model has them."""

    def __init__(self, sources: SourceReader, most: int) -> None:
        self._sources = sources
        self._most = most
        self._known: OrderedDict[str, set[str]] = OrderedDict()

    async def check(self, project_id: str, named: Collection[str]) -> None:
        """Return when the project has these sources, or may have them.

        Raises:
            Conflict: it would have too many.
            Unavailable: Redis does not answer.
        """
        known = self._known.get(project_id, set())
        new = set(named) - known - _OWN
        if not new:
            return
        stored = {state.source for state in await self._sources.list(project_id)} - _OWN
        known = self._known.setdefault(project_id, set()) | stored
        new -= known
        if new and len(known) + len(new) > self._most:
            raise Conflict(
                f"The project has {len(known)} sources of its own, and {min(new)!r} is not one of them; it may have "
                f"{self._most} (SOULCASTER_SOURCES_PER_PROJECT). Use one that GET /sources lists."
            )
        self._known[project_id] = known | new
        self._known.move_to_end(project_id)
        while len(self._known) > _PROJECTS:
            self._known.popitem(last=False)
