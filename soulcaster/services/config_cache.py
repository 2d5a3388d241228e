"""What projects have set, for whoever asks often."""

import time
from collections.abc import Callable

from cachetools import TTLCache

from soulcaster.ports.read_model import ReadModel
from soulcaster.wire.project_config import ProjectConfig

CACHED_SECONDS = 3.0
"""How long settings and secrets are remembered: a change passes within these."""

CACHED_MOST = 1000
"""How many are, the last that were asked for."""


class ProjectConfigs:
    """The settings of projects, by way of the read model."""

    def __init__(self, read_model: ReadModel, ticks: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `ticks` gives seconds of a clock that only goes on."""
        self._read_model = read_model
        self._known: TTLCache[str, ProjectConfig] = TTLCache(CACHED_MOST, CACHED_SECONDS, timer=ticks)

    async def of(self, project_id: str) -> ProjectConfig:
        """Return a project's settings, as of at most `CACHED_SECONDS` ago.

        Raises:
            Unavailable: Redis does not answer.
        """
        config = self._known.get(project_id)
        if config is None:
            config = self._known[project_id] = (await self._read_model.config(project_id)).config
        return config
