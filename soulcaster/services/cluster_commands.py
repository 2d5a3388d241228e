"""Commands on clusters: sending them to the clusterer and reading their outcomes."""

from dataclasses import dataclass

from soulcaster.domain.commands import Command, StartFix
from soulcaster.domain.ids import fix_command_id, job_id_for
from soulcaster.domain.lifecycle import active
from soulcaster.errors import Conflict
from soulcaster.ports.clock import Clock
from soulcaster.ports.clusters import ClusterReader
from soulcaster.ports.commands import CommandReader, CommandView
from soulcaster.ports.jobs import JobReader
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.lookup import known_cluster
from soulcaster.services.waiting import until
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.topics import CLUSTER_COMMANDS

NEWEST_JOBS = 100
"""Jobs of a cluster that are searched for one that is still active."""


class FixUnderWay(Conflict):
    """A fix of this cluster is under way already."""


@dataclass(frozen=True, slots=True)
class RequestedFix:
    """A fix that was requested: its command, the job it leads to, and the cluster by its present id."""

    command_id: str
    job_id: str
    cluster_id: str


class ClusterCommands:
    """Sends commands on clusters, and reads what came of them."""

    def __init__(
        self, publisher: Publisher, clusters: ClusterReader, commands: CommandReader, jobs: JobReader, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._clusters = clusters
        self._commands = commands
        self._jobs = jobs
        self._clock = clock

    async def send(self, project_id: str, command: Command) -> None:
        """Publish a command.

        Raises:
            ValidationError: a field of it exceeds the limits that `domain.commands` sets.
            Unavailable: Kafka does not acknowledge it.
        """
        message = ClusterCommand(project_id=project_id, command=command)
        await self._publisher.publish([Outgoing(CLUSTER_COMMANDS.name, project_id.encode(), message.to_bytes())])

    async def outcome(self, project_id: str, command_id: str, *, seconds: float) -> CommandView | None:
        """Return a command's outcome as soon as it is applied or refused, else what is known after `seconds`.

        None means that nothing is known of it yet.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await until(
            lambda: self._commands.get(project_id, command_id),
            lambda view: view is not None and view.outcome != "waiting",
            seconds=seconds,
        )

    async def start_fix(self, project_id: str, cluster_id: str, *, requested_by: str) -> RequestedFix:
        """Publish the command that starts a fix of a cluster.

        The job shows in the read model a moment later, so of two simultaneous requests both may succeed. They then
        name the same job, because the command's id follows from the newest job that the cluster has had.

        Raises:
            NotFound: the project has no such cluster.
            FixUnderWay: one of the cluster's jobs has not ended.
            Unavailable: Kafka or Redis does not answer.
        """
        cluster = await known_cluster(self._clusters, project_id, cluster_id)
        jobs = await self._jobs.list(project_id, cluster_id=cluster.id, limit=NEWEST_JOBS, offset=0)
        if any(active(job) for job in jobs.items):
            raise FixUnderWay
        command_id = fix_command_id(cluster.id, jobs.items[0].id if jobs.items else "")
        await self.send(project_id, StartFix(command_id, requested_by, self._clock(), cluster.id))
        return RequestedFix(command_id, job_id_for(command_id), cluster.id)
