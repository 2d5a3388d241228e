"""An Amazon ECS on loopback: the part of its API that starts, finds and stops tasks, and what tests want of it.

Unlike moto's it keeps clientTokens as ECS does, forgets them as ECS does, shows new tasks late, fails, and loses
answers. Source: docs.aws.amazon.com/AmazonECS/latest: the API reference with "Ensuring idempotency", "Task lifecycle".
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.aws import lead_aws_to

CLUSTER = "jobs"
DEFINITION = "coding-agent"
CONTAINER = "agent"
ACCOUNT = "arn:aws:ecs:eu-central-1:123456789012"
TARGET = "AmazonEC2ContainerServiceV20141113."
HOUR = 3600

NEXT = {
    "PROVISIONING": "PENDING",
    "PENDING": "ACTIVATING",
    "ACTIVATING": "RUNNING",
    "STOPPING": "DEPROVISIONING",
    "DEPROVISIONING": "STOPPED",
}


@dataclass
class Fault:
    """What happens to a request instead of its answer; `does_it` first does what was asked."""

    status: int = 0
    code: str = ""
    message: str = ""
    body: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    does_it: bool = False


DROPPED = Fault()
LOST = Fault(does_it=True)
"""ECS does it, and the connection breaks before the answer."""
HANGS = Fault(message="hangs")
THROTTLED = Fault(400, "ThrottlingException", "Rate exceeded")


def refusal(code: str, message: str, **more: Any) -> Fault:
    return Fault(400, code, message, more=more)


@dataclass
class EcsTask:
    """A task that was started; `request` is what RunTask got."""

    arn: str
    request: Mapping[str, Any]
    created: float
    status: str = "PROVISIONING"
    container: str = "PENDING"
    stopped_at: float | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    container_reason: str = ""
    hidden_from_list: int = 0
    hidden_from_describe: int = 0

    @property
    def started_by(self) -> str:
        return str(self.request["startedBy"])

    @property
    def environment(self) -> dict[str, str]:
        [override] = self.request["overrides"]["containerOverrides"]
        return {each["name"]: each["value"] for each in override["environment"]}

    def move(self, status: str) -> None:
        """Go to a state of the life cycle."""
        self.status = status
        if status in {"RUNNING", "DEACTIVATING", "STOPPING"} and self.exit_code is None:
            self.container = "RUNNING"
        if status in {"DEPROVISIONING", "STOPPED"}:
            self.container = "STOPPED"

    def exit(self, code: int | None, *, reason: str = "", stop_code: str = "EssentialContainerExited") -> None:
        """The program ends, by itself unless the stop code says otherwise; the task is cleaned up in further steps."""
        self.container, self.exit_code, self.container_reason = "STOPPED", code, reason
        self.status, self.stop_code = "STOPPING", stop_code
        self.stopped_reason = self.stopped_reason or "Essential container in task exited"

    def described(self) -> dict[str, Any]:
        container: dict[str, Any] = {"name": CONTAINER, "lastStatus": self.container, "reason": self.container_reason}
        if self.exit_code is not None:
            container["exitCode"] = self.exit_code
        ends = {"stopCode": self.stop_code, "stoppedReason": self.stopped_reason} if self.stop_code else {}
        return {**self.brief(), "startedBy": self.started_by, "containers": [container], **ends}

    def brief(self) -> dict[str, Any]:
        """What RunTask tells of a task that has stopped, when it is asked again."""
        return {"taskArn": self.arn, "lastStatus": self.status, "desiredStatus": self.desired}

    @property
    def desired(self) -> str:
        return "STOPPED" if self.stop_code else "RUNNING"


@dataclass
class _Token:
    """What a clientToken stands for: the request, and what came of it."""

    request: Mapping[str, Any]
    task: EcsTask | None
    failures: list[dict[str, str]]


class EcsServer:
    """A region with one cluster, which AWS's clients call while it runs.

    Tasks move on by `EcsTask.move`, or, with `moves`, by a step at each DescribeTasks.
    """

    def __init__(self) -> None:
        self.now = 0.0
        """The server's clock, in seconds; tests put it forward."""
        self.tasks: list[EcsTask] = []
        self.moves = False
        self.away = False
        self.definitions: dict[str, list[dict[str, Any]]] = {DEFINITION: [{"name": CONTAINER, "stopTimeout": 5}]}
        self.faults: dict[str, list[Fault | None]] = {}
        """By operation, what happens to its next requests, one each; None is the usual answer."""
        self.failures: list[dict[str, str]] = []
        """`failures` of the next RunTask that would start a task."""
        self.hide_new_tasks = 0
        """How many ListTasks and DescribeTasks do not yet show a new task."""
        self.page = 100
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._tokens: dict[str, _Token] = {}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._serve)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(shutdown_timeout=0.1)
        self._patch = pytest.MonkeyPatch()
        lead_aws_to(str(self._server.make_url("")).rstrip("/"), self._patch)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._patch.undo()
        await self._server.close()

    def of(self, key: str) -> list[EcsTask]:
        return [task for task in self.tasks if task.started_by == key]

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.requests if name == operation]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers["X-Amz-Target"].removeprefix(TARGET)
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
        given = json.loads(await request.read())
        self.requests.append((operation, given))
        faults = self.faults.get(operation, [])
        fault = DROPPED if self.away else faults.pop(0) if faults else None
        answer = None if fault and not fault.does_it else self._do(operation, given)
        if fault is HANGS:
            await asyncio.sleep(HOUR)
        if fault and not fault.status:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return respond(fault or answer)

    def _do(self, operation: str, given: dict[str, Any]) -> "Fault | dict[str, Any]":
        if operation == "DescribeTaskDefinition":
            return self._describe_definition(given["taskDefinition"])
        if given["cluster"] != CLUSTER:
            return refusal("ClusterNotFoundException", "Cluster not found.")
        match operation:
            case "RunTask":
                return self._run(given)
            case "ListTasks":
                return self._list(given)
            case "DescribeTasks":
                return self._describe(given["tasks"])
            case "StopTask":
                return self._stop(given)
        raise AssertionError(operation)

    def _describe_definition(self, name: str) -> "Fault | dict[str, Any]":
        if name not in self.definitions:
            return refusal("ClientException", "Unable to describe task definition.")
        arn = f"{ACCOUNT}:task-definition/{name}:1"
        definition = {"taskDefinitionArn": arn, "family": name, "containerDefinitions": self.definitions[name]}
        return {"taskDefinition": definition, "tags": []}

    def _run(self, given: dict[str, Any]) -> "Fault | dict[str, Any]":
        token = given["clientToken"]
        if wrong := self._wrong(given):
            return refusal("InvalidParameterException", wrong)
        if given["taskDefinition"] not in self.definitions:
            return refusal("ClientException", "TaskDefinition not found.")
        if (kept := self._tokens.get(token)) and self._is_kept(kept.task):
            if kept.request != given:
                arns = [kept.task.arn] if kept.task else []
                return refusal("ConflictException", "The token is in use with other parameters.", resourceIds=arns)
            return {"tasks": [self._told_again(kept.task)] if kept.task else [], "failures": kept.failures}
        kept = self._tokens[token] = _Token(given, None if self.failures else self._start(given), self.failures)
        self.failures = []
        return {"tasks": [kept.task.described()] if kept.task else [], "failures": kept.failures}

    def _start(self, given: dict[str, Any]) -> EcsTask:
        arn = f"{ACCOUNT}:task/{CLUSTER}/{len(self.tasks):032x}"
        hidden = self.hide_new_tasks
        task = EcsTask(arn, given, self.now, hidden_from_list=hidden, hidden_from_describe=hidden)
        self.tasks.append(task)
        return task

    def _is_kept(self, task: EcsTask | None) -> bool:
        """A token is kept for 24 hours, but only for an hour after its task has stopped."""
        if task is None:
            return True
        return self.now - task.created < 24 * HOUR and not self._is_forgotten(task)

    def _is_forgotten(self, task: EcsTask) -> bool:
        return task.stopped_at is not None and self.now - task.stopped_at >= HOUR

    def _told_again(self, task: EcsTask) -> dict[str, Any]:
        return task.brief() if task.status == "STOPPED" else task.described()

    def _wrong(self, given: dict[str, Any]) -> str:
        """Return what is wrong with a request to run a task, in words like those of ECS."""
        network = given["networkConfiguration"]["awsvpcConfiguration"]
        names = {each["name"] for each in self.definitions.get(given["taskDefinition"], ())}
        overrides = given["overrides"]
        checks = {
            "Invalid client token": re.fullmatch(r"[!-~]{1,64}", given["clientToken"]),
            "Invalid startedBy": re.fullmatch(r"[A-Za-z0-9/_-]{1,128}", given["startedBy"]),
            "subnets can not be empty.": network["subnets"] and len(network["subnets"]) <= 16,
            "securityGroups can have at most 5 items.": len(network["securityGroups"]) <= 5,
            "Override for a container that is not in the TaskDefinition.": not names
            or {each["name"] for each in overrides["containerOverrides"]} <= names,
            "Container Overrides length must be at most 8192": len(json.dumps(overrides)) <= 8192,
        }
        return next((words for words, good in checks.items() if not good), "")

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        found = [
            task.arn
            for task in self._shown(self.tasks, "hidden_from_list")
            if task.started_by == given["startedBy"] and task.desired == given["desiredStatus"]
        ]
        start = int(given.get("nextToken", "0"))
        more = {"nextToken": str(start + self.page)} if len(found) > start + self.page else {}
        return {"taskArns": found[start : start + self.page], **more}

    def _describe(self, arns: list[str]) -> dict[str, Any]:
        found = list(self._shown((task for task in self.tasks if task.arn in arns), "hidden_from_describe"))
        for task in found if self.moves else ():
            self.move_on(task)
        missing = set(arns) - {task.arn for task in found}
        return {
            "tasks": [task.described() for task in found],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in sorted(missing)],
        }

    def move_on(self, task: EcsTask) -> None:
        """Take a task one step on in its life cycle."""
        task.move(NEXT.get(task.status, task.status))
        if task.status == "STOPPED" and task.stopped_at is None:
            task.stopped_at = self.now

    def _shown(self, tasks: Iterable[EcsTask], counter: str) -> Iterable[EcsTask]:
        for task in tasks:
            if getattr(task, counter):
                setattr(task, counter, getattr(task, counter) - 1)
            elif not self._is_forgotten(task):
                yield task

    def _stop(self, given: dict[str, Any]) -> "Fault | dict[str, Any]":
        found = [task for task in self.tasks if task.arn == given["task"] and not self._is_forgotten(task)]
        if not found or found[0].hidden_from_describe:
            if found:
                found[0].hidden_from_describe -= 1
            return refusal("InvalidParameterException", "The referenced task was not found.")
        [task] = found
        if not task.stop_code:
            task.stopped_reason = given["reason"]
            task.exit(143 if task.container == "RUNNING" else None, stop_code="UserInitiated")
        return {"task": task.described()}


def respond(answer: "Fault | dict[str, Any] | None") -> web.Response:
    if isinstance(answer, Fault):
        body = answer.body
        if body is None:
            body = json.dumps({"__type": answer.code, "message": answer.message, **answer.more})
        return web.Response(status=answer.status, text=body, content_type="application/x-amz-json-1.1")
    return web.json_response(answer, content_type="application/x-amz-json-1.1")
