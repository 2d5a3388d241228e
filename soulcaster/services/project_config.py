"""Setting what a project's settings are. The API and the pages do it in the same way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from soulcaster.domain.commands import Granularity
from soulcaster.errors import SoulcasterError
from soulcaster.ports.messaging import Outgoing
from soulcaster.services.cluster_commands import ask, done
from soulcaster.web.dependencies import Dependencies
from soulcaster.wire.control import ProjectConfigured
from soulcaster.wire.project_config import ProjectConfig, StoredConfig
from soulcaster.wire.topics import CONTROL

_POLL_SECONDS = 0.1


class ConfigConflict(SoulcasterError):
    """Somebody else has set these settings meanwhile; read them again, and send them with their new version."""


class ClusteringRefused(SoulcasterError):
    """The clusterer does not take how the project is to be clustered."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """How a project is to be clustered, as `domain.commands.Configure` says it."""

    threshold: float | None = None
    granularity: Granularity = "auto"


async def clustering(services: Dependencies, project_id: str) -> Clustering:
    """Return how a project is clustered: what the clusterer says, who alone knows.

    Raises:
        Unavailable: Redis does not answer.
    """
    told = await services.read_model.clustering_config(project_id)
    return Clustering() if told is None else Clustering(told.threshold, told.granularity)


async def configure(
    services: Dependencies,
    project_id: str,
    version: int,
    change: Callable[[ProjectConfig], ProjectConfig],
    *,
    by: str,
    clustered: Clustering | None = None,
    wait: float = 0,
) -> tuple[StoredConfig, str | None]:
    """Return a project's settings as they will stand, and the id of the command to the clusterer, if there is one.

    Returns once Kafka has them. How the project is clustered is a command, which goes first; with `wait`, nothing is
    set before it is known that the clusterer takes it. `version` is that of the settings that are changed.

    Raises:
        ConfigConflict: they have another version, or somebody is about to give them one.
        ClusteringRefused: the clusterer does not take it, and nothing is set.
        Unavailable: Kafka or Redis does not answer.
    """
    read_model = services.read_model
    stored = await read_model.config(project_id)
    if stored.version != version or not await read_model.claim_config(project_id, version + 1):
        raise ConfigConflict
    try:
        command_id = None
        if clustered is not None and clustered != await clustering(services, project_id):
            command_id = str(uuid4())
            fields = {"threshold": clustered.threshold, "granularity": clustered.granularity}
            await ask(services, project_id, "configure", command_id, requested_by=by, **fields)
            told = await done(services, project_id, command_id, wait) if wait else None
            if told is not None and told.outcome == "refused":
                raise ClusteringRefused(told.reason)
        new = StoredConfig(version + 1, change(stored.config), services.clock(), by)
        message = ProjectConfigured(
            project_id=project_id,
            version=new.version,
            config=new.config,
            updated_at=services.clock(),
            updated_by=by,
        )
        sent = Outgoing(CONTROL.name, f"config:{project_id}".encode(), message.to_bytes())
        await services.publisher.publish([sent])
    except BaseException:
        await read_model.release_config(project_id, version + 1)
        raise
    return new, command_id


async def visible(services: Dependencies, project_id: str, version: int, seconds: float) -> bool:
    """Return whether settings of this version can be read, as soon as they can or after so many seconds.

    Raises:
        Unavailable: Redis does not answer.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        if (await services.read_model.config(project_id)).version >= version:
            return True
        if loop.time() >= until:
            return False
        await asyncio.sleep(min(_POLL_SECONDS, seconds))
