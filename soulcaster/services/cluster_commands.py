"""A person asks something of clusters. The API and the pages ask for it in the same way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from soulcaster.domain.commands import CommandKind
from soulcaster.domain.ids import fix_command_id, job_id_for
from soulcaster.domain.lifecycle import active
from soulcaster.errors import NotFound, SoulcasterError
from soulcaster.ports.clusters import ClusterView, CommandView
from soulcaster.ports.messaging import Outgoing
from soulcaster.web.dependencies import Dependencies
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.topics import CLUSTER_COMMANDS

_JOBS_LOOKED_AT = 100

_POLL_SECONDS = 0.1


class FixUnderWay(SoulcasterError):
    """A fix of this cluster is under way already."""


@dataclass(frozen=True, slots=True)
class AskedFix:
    """What was asked of which cluster, and the id of the job it leads to."""

    command_id: str
    job_id: str
    cluster_id: str


async def ask(
    services: Dependencies, project_id: str, kind: CommandKind, own_id: str, /, *, requested_by: str, **fields: Any
) -> None:
    """Publish a command, and return once Kafka has it; `fields` are those of `ClusterCommand` that its kind has.

    Raises:
        Unavailable: Kafka does not answer.
    """
    command = ClusterCommand(
        id=own_id,
        type=kind,
        project_id=project_id,
        requested_by=requested_by,
        requested_at=services.clock(),
        **fields,
    )
    await services.publisher.publish([Outgoing(CLUSTER_COMMANDS.name, project_id.encode(), command.to_bytes())])


async def done(services: Dependencies, project_id: str, command_id: str, seconds: float) -> CommandView | None:
    """Return what became of a command as soon as it is known for good, or what is known after so many seconds.

    Raises:
        Unavailable: Redis does not answer.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        view = await services.read_model.command(project_id, command_id)
        if (view is not None and view.outcome != "waiting") or loop.time() >= until:
            return view
        await asyncio.sleep(min(_POLL_SECONDS, seconds))


async def until(shown: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Return whether something showed within so many seconds, as soon as it does."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = await shown()
        if found or loop.time() >= end:
            return found
        await asyncio.sleep(min(_POLL_SECONDS, seconds))


async def known_cluster(services: Dependencies, project_id: str, cluster_id: str) -> ClusterView:
    """Return the cluster that an id stands for.

    Raises:
        NotFound: there is none in this project.
        Unavailable: Redis does not answer.
    """
    view = await services.read_model.cluster(project_id, cluster_id)
    if view is None:
        raise NotFound("Cluster not found")
    return view


async def ask_for_fix(services: Dependencies, project_id: str, cluster_id: str, *, requested_by: str) -> AskedFix:
    """Publish the command that starts a fix of a cluster, and return once Kafka has it.

    The job shows in the read model a moment later, so two who ask at the same time may both be told yes; they are told
    of the same job, for the command's id is made of the newest job that the cluster has had.

    Raises:
        NotFound: there is no such cluster in this project.
        FixUnderWay: one of its jobs has not ended.
        Unavailable: Kafka or Redis does not answer.
    """
    cluster = await known_cluster(services, project_id, cluster_id)
    jobs = await services.read_model.jobs(project_id, cluster_id=cluster.id, limit=_JOBS_LOOKED_AT, offset=0)
    if any(active(job) for job in jobs.items):
        raise FixUnderWay
    command_id = fix_command_id(cluster.id, jobs.items[0].id if jobs.items else "")
    await ask(services, project_id, "start_fix", command_id, requested_by=requested_by, cluster_id=cluster.id)
    return AskedFix(command_id, job_id_for(command_id), cluster.id)
