"""Tasks of Amazon ECS: what the launch backend `ecs` needs of the service."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from soulcaster.ports.launch_backend import Task


class EcsTasks(Protocol):
    """Tasks of one cluster and one task definition. A task is found by its ARN, or by the key that started it.

    Every method raises `EcsUnavailable` when ECS does not answer and `EcsRefuses` when it refuses the request.
    """

    async def run(self, key: str, environment: Mapping[str, str]) -> Task:
        """Start a task that has these variables, or return the one that the same key and variables have started.

        Raises:
            EcsRefuses: also when the key has started a task with other variables or settings; then with its `tasks`.
        """

    async def started_by(self, key: str) -> Sequence[str]:
        """Return the ARNs of the tasks that this key started; for some seconds a new task may be missing."""

    async def describe(self, arns: Sequence[str]) -> Sequence[Task]:
        """Return what ECS knows of tasks, and nothing of those it does not know (yet, or any more)."""

    async def stop(self, arn: str) -> bool:
        """Stop a task, or return False if ECS does not know it (yet, or any more)."""

    async def close(self) -> None:
        """Close the connections."""
