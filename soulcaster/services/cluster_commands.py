"""Commands on clusters: sending them to the clusterer and reading their outcomes."""

from soulcaster.domain.commands import Command
from soulcaster.ports.commands import CommandReader, CommandView
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.services.waiting import until
from soulcaster.wire.cluster_commands import ClusterCommand
from soulcaster.wire.topics import CLUSTER_COMMANDS


class ClusterCommands:
    """Sends commands on clusters, and reads what came of them."""

    def __init__(self, publisher: Publisher, commands: CommandReader) -> None:
        self._publisher = publisher
        self._commands = commands

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
