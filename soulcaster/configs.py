"""What projects have set, for whoever asks often."""

import time
from collections.abc import Callable

from soulcaster.ports import ReadModel
from soulcaster.project_config import ProjectConfig

CACHED_SECONDS = 3.0
"""How long settings are remembered: a change passes within these."""


class ProjectConfigs:
    """The settings of projects, by way of the read model."""

    def __init__(self, read_model: ReadModel, ticks: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `ticks` gives seconds of a clock that only goes on."""
        self._read_model = read_model
        self._ticks = ticks
        self._known: dict[str, tuple[ProjectConfig, float]] = {}

    async def of(self, project_id: str) -> ProjectConfig:
        """Return a project's settings, as of at most `CACHED_SECONDS` ago.

        Raises:
            Unavailable: Redis does not answer.
        """
        config, until = self._known.get(project_id, (None, 0.0))
        if config is None or self._ticks() >= until:
            config = (await self._read_model.config(project_id)).config
            self._known[project_id] = config, self._ticks() + CACHED_SECONDS
        return config
