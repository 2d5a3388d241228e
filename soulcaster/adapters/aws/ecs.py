"""A client of Amazon ECS that starts, finds and stops the tasks of one task definition.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference: RunTask, ListTasks, DescribeTasks, StopTask and "Ensuring
idempotency".
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from soulcaster.adapters.aws.client import LazyClient
from soulcaster.adapters.aws.ecs_answers import FAILURES, failure, not_placed, task_of
from soulcaster.errors import EcsRefuses, EcsUnavailable
from soulcaster.ports.launch_backend import Task

log = structlog.get_logger(__name__)

READ_SECONDS = 8.0

TIMEOUT_SECONDS = 20.0
"""Time limit of one call with all its tries."""

TRIES = 3
"""Tries of one call."""

STOP_SECONDS = 5
"""A container that has more time than this between SIGTERM and SIGKILL may outlive a stop for too long."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What tasks are made of and where they run, by the names or ARNs that RunTask takes.

    An empty `container` means the first one of the task definition. An empty `launch_type` leaves the choice to the
    default capacity providers of the cluster.
    """

    cluster: str
    task_definition: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    public_ip: bool = False
    launch_type: str = "FARGATE"
    container: str = ""


class EcsClient:
    """`ports.EcsTasks` over the AWS API. Its connections open at the first call."""

    def __init__(self, placement: Placement, *, timeout: float = TIMEOUT_SECONDS, tries: int = TRIES) -> None:
        """`timeout` is in seconds, and for one call with all its `tries`."""
        self._placement = placement
        self._timeout = timeout
        self._client = LazyClient("ecs", read_seconds=READ_SECONDS, tries=tries)

    async def run(self, key: str, environment: Mapping[str, str]) -> Task:
        """Start a task, or return the one that the same request has started; see `ports.EcsTasks`.

        The key is the request's clientToken, which makes RunTask start one task for it, and the task's startedBy,
        which ListTasks finds. Requests with one key must be equal, so the variables keep their order.
        """
        at = self._placement
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        network = {
            "subnets": [*at.subnets],
            "securityGroups": [*at.security_groups],
            "assignPublicIp": "ENABLED" if at.public_ip else "DISABLED",
        }
        answer = await self._call(
            "run_task",
            cluster=at.cluster,
            taskDefinition=at.task_definition,
            count=1,
            clientToken=key,
            startedBy=key,
            overrides={"containerOverrides": [{"name": await self._container(), "environment": variables}]},
            networkConfiguration={"awsvpcConfiguration": network},
            **({"launchType": at.launch_type} if at.launch_type else {}),
        )
        for task in answer.get("tasks", ()):
            return task_of(task)
        raise not_placed(answer.get("failures", ()))

    async def started_by(self, key: str) -> Sequence[str]:
        """Return the ARNs of tasks by the key that started them; see `ports.EcsTasks`."""
        return [arn for status in ("RUNNING", "STOPPED") for arn in await self._list(key, status)]

    async def describe(self, arns: Sequence[str]) -> Sequence[Task]:
        """Return what ECS knows of tasks; see `ports.EcsTasks`."""
        answer = await self._call("describe_tasks", cluster=self._placement.cluster, tasks=[*arns])
        return [task_of(task) for task in _part(answer, "tasks")]

    async def stop(self, arn: str) -> bool:
        """Stop a task, or return False if ECS does not know it; see `ports.EcsTasks`."""
        try:
            await self._call("stop_task", cluster=self._placement.cluster, task=arn, reason="cancelled by Soulcaster")
        except EcsRefuses as refused:
            if refused.code == "InvalidParameterException" and "not found" in str(refused):
                return False
            raise
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _list(self, key: str, status: str) -> list[str]:
        arns: list[str] = []
        page: dict[str, str] = {}
        while True:
            answer = await self._call(
                "list_tasks", cluster=self._placement.cluster, startedBy=key, desiredStatus=status, **page
            )
            arns += _part(answer, "taskArns")
            if not answer.get("nextToken"):
                return arns
            page = {"nextToken": answer["nextToken"]}

    async def _container(self) -> str:
        """Return the container that gets the variables; warn if it may outlive a stop."""
        at = self._placement
        answer = await self._call("describe_task_definition", taskDefinition=at.task_definition)
        containers = {each["name"]: each for each in _part(answer, "taskDefinition").get("containerDefinitions", ())}
        name = at.container or next(iter(containers), "")
        if name not in containers:
            raise EcsRefuses(
                f"The task definition {at.task_definition} has no container {name!r}, but {', '.join(containers)}. "
                "Check ECS_CONTAINER_NAME."
            )
        if (seconds := containers[name].get("stopTimeout", 30)) > STOP_SECONDS:
            log.warning(
                "a program that ignores SIGTERM is killed late: set stopTimeout in the task definition",
                task_definition=at.task_definition,
                container=name,
                stop_timeout=seconds,
                at_most=STOP_SECONDS,
            )
        return name

    async def _call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """Return ECS's answer; botocore retries what is busy or does not answer.

        Raises:
            EcsUnavailable: ECS does not answer, or is busy.
            EcsRefuses: it refuses the request, or the request cannot be sent.
        """
        try:
            async with asyncio.timeout(self._timeout):
                answer: Mapping[str, Any] = await getattr(await self._client.open(), operation)(**request)
                return answer
        except FAILURES as error:
            raise failure(operation.title().replace("_", ""), error) from error


def _part(answer: Mapping[str, Any], name: str) -> Any:
    """Return a part that every answer of ECS has; without it, somebody else has answered."""
    if name not in answer:
        raise EcsUnavailable(f"The answer of Amazon ECS has no {name}; is its endpoint right?")
    return answer[name]
