"""A project's settings: reading them often, and changing them.

Threshold and granularity are not among the stored settings. Only the clusterer knows them, because it may refuse them;
a change of them is a command.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from cachetools import TTLCache

from soulcaster.domain.commands import Configure, Granularity
from soulcaster.errors import Conflict
from soulcaster.ports.clock import Clock
from soulcaster.ports.clustering import ClusteringReader
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.control import control_record
from soulcaster.services.waiting import until
from soulcaster.wire.control import ProjectConfigured
from soulcaster.wire.project_config import ProjectConfig, StoredConfig

CACHED_SECONDS = 3.0
"""How long settings and webhook secrets are cached: a change takes effect within this time."""

CACHED_MOST = 1000
"""How many are cached: the most recently used."""

MAX_ATTEMPTS = 5
"""How often a change to the newest settings is tried when others change them at the same time."""


class ConfigConflict(Conflict):
    """Somebody else changed these settings meanwhile. Read them again, and send your change with their new version."""


class ClusteringRefused(Conflict):
    """The clusterer refuses these clustering settings."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """How a project is clustered; the fields mean what they mean in `domain.commands.Configure`."""

    threshold: float | None = None
    granularity: Granularity = "auto"


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """New settings, and the id of the command to the clusterer where clustering changes too."""

    stored: StoredConfig
    command_id: str | None = None


class ConfigCache:
    """Projects' settings for callers that need them with every item."""

    def __init__(self, configs: ProjectConfigReader, ticks: Callable[[], float] = time.monotonic) -> None:
        """`ticks` is a monotonic clock in seconds."""
        self._configs = configs
        self._cache: TTLCache[str, ProjectConfig] = TTLCache(CACHED_MOST, CACHED_SECONDS, timer=ticks)

    async def get(self, project_id: str) -> ProjectConfig:
        """Return a project's settings, at most `CACHED_SECONDS` old.

        Raises:
            Unavailable: Redis does not answer.
        """
        config = self._cache.get(project_id)
        if config is None:
            config = self._cache[project_id] = (await self._configs.get(project_id)).config
        return config


class ProjectConfigs:
    """Reads and changes projects' settings."""

    def __init__(
        self,
        publisher: Publisher,
        configs: ProjectConfigReader,
        clustering: ClusteringReader,
        commands: ClusterCommands,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._configs = configs
        self._clustering = clustering
        self._commands = commands
        self._clock = clock

    async def get(self, project_id: str) -> StoredConfig:
        """Return a project's settings; the defaults, as version 0, where nobody has set any.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await self._configs.get(project_id)

    async def clustering(self, project_id: str) -> Clustering:
        """Return how a project is clustered, as the clusterer last reported it.

        Raises:
            Unavailable: Redis does not answer.
        """
        reported = await self._clustering.config(project_id)
        return Clustering() if reported is None else Clustering(reported.threshold, reported.granularity)

    async def change(
        self,
        project_id: str,
        version: int,
        changed: Callable[[ProjectConfig], ProjectConfig],
        *,
        by: str,
        clustering: Clustering | None = None,
        seconds: float = 0,
    ) -> ConfigChange:
        """Publish new settings, made by `changed` of those of this `version`.

        Another clustering is a command, which is sent first. With `seconds`, its outcome is awaited so long, and
        nothing is set where the clusterer refuses it.

        Raises:
            ConfigConflict: the settings have another version by now, or somebody is just about to change them.
            ClusteringRefused: the clusterer refuses the clustering; nothing is set.
            Unavailable: Kafka or Redis does not answer.
        """
        stored = await self.get(project_id)
        if stored.version != version or not await self._configs.claim(project_id, version + 1):
            raise ConfigConflict
        try:
            command_id = None
            if clustering is not None and clustering != await self.clustering(project_id):
                command_id = await self._send(project_id, clustering, by, seconds)
            now = self._clock()
            new = StoredConfig(version + 1, changed(stored.config), now, by)
            message = ProjectConfigured(
                project_id=project_id, version=new.version, config=new.config, updated_at=now, updated_by=by
            )
            await self._publisher.publish([control_record(message)])
        except BaseException:
            await self._configs.release(project_id, version + 1)
            raise
        return ConfigChange(new, command_id)

    async def change_newest(
        self, project_id: str, changed: Callable[[ProjectConfig], ProjectConfig], *, by: str, seconds: float
    ) -> StoredConfig:
        """Publish a change of the newest settings, and wait up to `seconds` until it can be read.

        A change that somebody else makes at the same time is not a reason to fail: this one is then applied to theirs.

        Raises:
            ConfigConflict: others were faster `MAX_ATTEMPTS` times.
            Unavailable: Kafka or Redis does not answer.
        """
        attempt = 0
        while True:
            attempt += 1
            version = (await self.get(project_id)).version
            try:
                new = (await self.change(project_id, version, changed, by=by)).stored
                break
            except ConfigConflict:
                if attempt == MAX_ATTEMPTS:
                    raise
            await self.until_visible(project_id, version + 1, seconds=seconds / MAX_ATTEMPTS)
        await self.until_visible(project_id, new.version, seconds=seconds)
        return new

    async def until_visible(self, project_id: str, version: int, *, seconds: float) -> bool:
        """Return True as soon as settings of this version, or a newer one, can be read; False after `seconds`.

        Raises:
            Unavailable: Redis does not answer.
        """
        stored = await until(lambda: self.get(project_id), lambda stored: stored.version >= version, seconds=seconds)
        return stored.version >= version

    async def _send(self, project_id: str, clustering: Clustering, by: str, seconds: float) -> str:
        """Send the clustering to the clusterer, and return the command's id."""
        command_id = str(uuid4())
        threshold, granularity = clustering.threshold, clustering.granularity
        command = Configure(command_id, by, self._clock(), threshold=threshold, granularity=granularity)
        await self._commands.send(project_id, command)
        outcome = await self._commands.outcome(project_id, command_id, seconds=seconds) if seconds else None
        if outcome is not None and outcome.outcome == "refused":
            raise ClusteringRefused(outcome.reason)
        return command_id
