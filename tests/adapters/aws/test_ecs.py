"""The client of ECS: what it asks, and what it makes of each answer."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.adapters.aws.ecs import TRIES, EcsClient
from soulcaster.adapters.aws.ecs_answers import task_of
from soulcaster.errors import EcsRefuses, EcsUnavailable
from soulcaster.ports.launch_backend import Task, TaskState
from soulcaster.processes.logs import QUIET, configure
from tests.support.ecs_server import (
    CLUSTER,
    CONTAINER,
    DEFINITION,
    DROPPED,
    HANGS,
    LOST,
    THROTTLED,
    EcsServer,
    EcsTask,
    Fault,
    refusal,
)
from tests.support.launch_in_ecs import PLACEMENT, ecs_client

KEY = "8b0c7f3e-6a55-4d0e-9f4a-0d0c3f1f2a77-1"
VARIABLES = {"JOB_ID": "8b0c7f3e", "BACKEND_URL": "https://soulcaster.example.com", "JOB_TOKEN": "of-this-job"}


@pytest.fixture
async def server() -> AsyncIterator[EcsServer]:
    async with EcsServer() as server:
        yield server


@pytest.fixture
async def client(server: EcsServer) -> AsyncIterator[EcsClient]:
    async with ecs_client() as client:
        yield client


@pytest.fixture
async def patient(server: EcsServer) -> AsyncIterator[EcsClient]:
    """As in production: several tries."""
    async with ecs_client(tries=TRIES) as client:
        yield client


# ---- requests --------------------------------------------------------------------------------------------------------


async def test_a_task_gets_the_variables_and_nothing_else(server: EcsServer, client: EcsClient) -> None:
    task = await client.run(KEY, VARIABLES)
    assert task == Task(server.tasks[0].arn, "starting")
    assert server.asked("RunTask") == [
        {
            "cluster": CLUSTER,
            "taskDefinition": DEFINITION,
            "count": 1,
            "clientToken": KEY,
            "startedBy": KEY,
            "launchType": "FARGATE",
            "overrides": {
                "containerOverrides": [
                    {
                        "name": CONTAINER,
                        "environment": [{"name": name, "value": value} for name, value in VARIABLES.items()],
                    }
                ]
            },
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": ["subnet-1", "subnet-2"],
                    "securityGroups": ["sg-1"],
                    "assignPublicIp": "DISABLED",
                }
            },
        }
    ]


async def test_the_placement_may_be_another(server: EcsServer) -> None:
    server.definitions[DEFINITION].append({"name": "second", "stopTimeout": 5})
    client = EcsClient(replace(PLACEMENT, public_ip=True, launch_type="", container="second"), tries=1)
    await client.run(KEY, VARIABLES)
    await client.close()
    [asked] = server.asked("RunTask")
    assert "launchType" not in asked
    assert asked["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"
    assert asked["overrides"]["containerOverrides"][0]["name"] == "second"


async def test_a_container_that_the_definition_lacks_is_named(server: EcsServer) -> None:
    client = EcsClient(replace(PLACEMENT, container="kilo"), tries=1)
    with pytest.raises(EcsRefuses, match=r"no container 'kilo', but agent.*ECS_CONTAINER_NAME"):
        await client.run(KEY, VARIABLES)
    await client.close()
    assert server.tasks == []


@pytest.mark.parametrize(("setting", "warned"), [({}, True), ({"stopTimeout": 6}, True), ({"stopTimeout": 5}, False)])
async def test_a_program_that_may_outlive_a_stop_is_warned_of(
    server: EcsServer, client: EcsClient, setting: dict[str, int], warned: bool
) -> None:
    server.definitions[DEFINITION] = [{"name": CONTAINER, **setting}]
    with structlog.testing.capture_logs() as logs:
        await client.run(KEY, VARIABLES)
    assert ["stopTimeout" in entry["event"] for entry in logs] == [True] * warned


async def test_the_tasks_of_a_key_are_listed_running_and_stopped(server: EcsServer, client: EcsClient) -> None:
    server.page = 1
    for number in range(3):  # more than one page
        server.now += 25 * 3600  # the clientToken is forgotten
        await client.run(KEY, VARIABLES)
        server.tasks[number].exit(0 if number == 0 else None, stop_code="" if number else "EssentialContainerExited")
    await client.run("another", VARIABLES)
    assert sorted(await client.started_by(KEY)) == [task.arn for task in server.tasks[:3]]
    assert {asked["desiredStatus"] for asked in server.asked("ListTasks")} == {"RUNNING", "STOPPED"}


async def test_a_stop_has_its_reason(server: EcsServer, client: EcsClient) -> None:
    task = await client.run(KEY, VARIABLES)
    assert await client.stop(task.id)
    assert server.asked("StopTask") == [{"cluster": CLUSTER, "task": task.id, "reason": "cancelled by Soulcaster"}]
    assert not await client.stop(f"{task.id}f")


async def test_a_stop_that_is_refused_is_not_taken_for_a_task_that_is_not_there(
    server: EcsServer, client: EcsClient
) -> None:
    task = await client.run(KEY, VARIABLES)
    server.faults["StopTask"] = [refusal("InvalidParameterException", "taskId longer than 36.")]
    with pytest.raises(EcsRefuses, match="taskId longer than 36"):
        await client.stop(task.id)


async def test_the_log_of_requests_is_never_kept(
    client: EcsClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore logs every request with its body at DEBUG, and so the job token."""
    for name in QUIET:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    kept = structlog.get_config()
    with caplog.at_level(logging.DEBUG):
        try:
            configure("DEBUG")
            await client.run(KEY, VARIABLES)
        finally:
            structlog.configure(**kept)
    assert VARIABLES["JOB_TOKEN"] not in caplog.text


# ---- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusal("AccessDeniedException", "User: x is not authorized to perform: ecs:RunTask"), "IAM policy"),
        (refusal("ClientException", "TaskDefinition is inactive"), "TaskDefinition is inactive.*ECS_TASK_DEFINITION"),
        (refusal("ClusterNotFoundException", "Cluster not found."), "ECS_CLUSTER_NAME and the AWS region"),
        (refusal("InvalidParameterException", "The subnet ID 'x' does not exist"), "'x'.*ECS_SUBNET_IDS"),
        (refusal("UnrecognizedClientException", "The security token is invalid."), "credentials"),
        (refusal("ExpiredTokenException", "The security token has expired"), "credentials"),
        (refusal("InvalidSignatureException", "Signature not yet current"), "credentials and its clock"),
        (refusal("PlatformUnknownException", "unknown platform"), r"unknown platform \(PlatformUnknownException\)"),
        (refusal("BlockedException", "Your account is blocked"), "Your account is blocked"),
        (refusal("LimitExceededException", "You've reached the limit"), "reached the limit"),
    ],
)
async def test_a_refusal_has_the_vendors_words_and_what_to_check(
    server: EcsServer, client: EcsClient, fault: Fault, words: str
) -> None:
    server.faults["RunTask"] = [fault]
    with pytest.raises(EcsRefuses, match=words) as raised:
        await client.run(KEY, VARIABLES)
    assert fault.code in str(raised.value)
    assert VARIABLES["JOB_TOKEN"] not in str(raised.value)


async def test_an_unknown_task_definition_is_refused(server: EcsServer, client: EcsClient) -> None:
    server.definitions.clear()
    with pytest.raises(EcsRefuses, match=r"DescribeTaskDefinition.*ECS_TASK_DEFINITION"):
        await client.run(KEY, VARIABLES)


async def test_too_long_variables_are_refused(server: EcsServer, client: EcsClient) -> None:
    with pytest.raises(EcsRefuses, match="at most 8192"):
        await client.run(KEY, {**VARIABLES, "JOB_TOKEN": "x" * 8192})


async def test_a_conflict_names_the_tasks(server: EcsServer, client: EcsClient) -> None:
    task = await client.run(KEY, VARIABLES)
    with pytest.raises(EcsRefuses, match="ConflictException") as raised:
        await client.run(KEY, {**VARIABLES, "BACKEND_URL": "https://elsewhere.example.com"})
    assert raised.value.tasks == (task.id,)


async def test_failures_in_an_answer_with_status_200_are_a_refusal(server: EcsServer, client: EcsClient) -> None:
    server.failures = [
        {"arn": "arn:aws:ecs:instance", "reason": "RESOURCE:MEMORY", "detail": "too little"},
        {"reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone"},
    ]
    for _ in range(2):  # ECS gives the same answer again to the same token
        with pytest.raises(EcsRefuses, match=r"RESOURCE:MEMORY too little arn:aws:ecs:instance; Capacity is unavail"):
            await client.run(KEY, VARIABLES)
    assert server.tasks == []


@pytest.mark.parametrize(
    "fault",
    [
        DROPPED,
        HANGS,
        LOST,
        THROTTLED,
        Fault(400, "ServerException", "Service is down"),
        Fault(500, "ServerException", "Service is down"),
        Fault(429, body="<html>Too Many Requests</html>"),
        Fault(503, body="<html>Service Unavailable</html>"),
        Fault(200, body="<html>Sign in to the Wi-Fi</html>"),
        Fault(200, body="{}"),
    ],
)
async def test_what_is_no_answer_may_be_asked_again(server: EcsServer, fault: Fault) -> None:
    client = EcsClient(PLACEMENT, tries=1, timeout=1.5 if fault is HANGS else 20)
    await client.run("opens-the-client", VARIABLES)
    for operation in ("RunTask", "ListTasks", "DescribeTasks", "StopTask"):
        server.faults[operation] = [fault]
    with pytest.raises(EcsUnavailable) as raised:
        await client.run(KEY, VARIABLES)
    assert not isinstance(raised.value, EcsRefuses)
    for ask in (client.started_by(KEY), client.describe([server.tasks[0].arn])):
        with pytest.raises(EcsUnavailable) as raised:
            await ask
        assert not isinstance(raised.value, EcsRefuses)
    assert (await client.run(KEY, VARIABLES)).state == "starting"
    assert len(server.of(KEY)) == 1
    await client.close()


async def test_neither_a_task_nor_a_failure_is_no_answer(server: EcsServer, client: EcsClient) -> None:
    server.faults["RunTask"] = [Fault(200, body='{"tasks": [], "failures": []}')]
    with pytest.raises(EcsUnavailable, match="neither a task nor a failure"):
        await client.run(KEY, VARIABLES)


async def test_a_page_for_people_is_cut_short(server: EcsServer, client: EcsClient) -> None:
    server.faults["RunTask"] = [Fault(502, body="<html>\n" + "<p>Bad gateway</p>\n" * 1000)]
    with pytest.raises(EcsUnavailable) as raised:
        await client.run(KEY, VARIABLES)
    assert len(str(raised.value)) < 600
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("fault", [DROPPED, LOST, THROTTLED, Fault(503, body="")])
async def test_a_lost_answer_and_a_busy_ecs_are_tried_again_and_start_one_task(
    server: EcsServer, patient: EcsClient, fault: Fault
) -> None:
    server.faults["RunTask"] = [fault]
    assert (await patient.run(KEY, VARIABLES)).id == server.tasks[0].arn
    assert len(server.asked("RunTask")) == 2
    assert len(server.tasks) == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_ACCESS_KEY_ID", None, "credentials"),
        ("AWS_SECRET_ACCESS_KEY", None, "credentials"),
        ("AWS_DEFAULT_REGION", None, "region"),
        ("AWS_ENDPOINT_URL", "not an address", "endpoint"),
        ("AWS_PROFILE", "nobody", "nobody"),
    ],
)
async def test_without_credentials_or_region_no_request_is_sent(
    server: EcsServer,
    client: EcsClient,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    words: str,
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(EcsRefuses, match=words):
        await client.run(KEY, VARIABLES)
    assert server.requests == []


async def test_nobody_listens(client: EcsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1")
    with pytest.raises(EcsUnavailable, match="does not answer"):
        await client.describe(["arn"])


async def test_a_client_may_be_closed_unopened_and_opened_again(server: EcsServer, client: EcsClient) -> None:
    await client.close()
    task = await client.run(KEY, VARIABLES)
    await client.close()
    assert [each.id for each in await client.describe([task.id])] == [task.id]


# ---- states --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PROVISIONING", "starting"),
        ("PENDING", "starting"),
        ("ACTIVATING", "starting"),
        ("RUNNING", "running"),
        ("DEACTIVATING", "running"),  # the program has not got SIGTERM yet
        ("STOPPING", "running"),  # it has, and may work on until SIGKILL
        ("DEPROVISIONING", "ended"),
        ("STOPPED", "ended"),
    ],
)
def test_a_state_of_the_life_cycle(status: str, state: TaskState) -> None:
    assert task_of({"taskArn": "arn", "lastStatus": status}) == Task("arn", state)
    task = EcsTask("arn", {"startedBy": KEY}, 0)
    task.move(status)
    assert task_of(task.described()).state == state


def test_a_task_whose_containers_have_stopped_has_ended() -> None:
    task = EcsTask("arn", {"startedBy": KEY}, 0)
    task.move("RUNNING")
    task.exit(137, reason="OutOfMemoryError: Container killed due to memory usage")
    assert task.status == "STOPPING"
    assert task_of(task.described()) == Task(
        "arn",
        "ended",
        "Essential container in task exited (EssentialContainerExited); "
        "agent: exit code 137, OutOfMemoryError: Container killed due to memory usage",
    )


def test_a_task_that_never_started_says_why() -> None:
    task = EcsTask("arn", {"startedBy": KEY}, 0, stopped_reason="Capacity is unavailable at this time.")
    task.exit(None, stop_code="TaskFailedToStart")
    assert task_of(task.described()).reason == "Capacity is unavailable at this time. (TaskFailedToStart)"


WORDS = st.text(max_size=9)
STATUS = st.sampled_from(["PENDING", "RUNNING", "STOPPING", "STOPPED", "a new one"])
CONTAINERS = st.fixed_dictionaries(
    {}, optional={"name": WORDS, "lastStatus": STATUS, "exitCode": st.integers(0, 255), "reason": WORDS}
)


@given(
    st.fixed_dictionaries(
        {"taskArn": WORDS},
        optional={
            "lastStatus": STATUS,
            "stopCode": WORDS,
            "stoppedReason": WORDS,
            "containers": st.lists(CONTAINERS, max_size=3),
        },
    )
)
def test_a_description_with_parts_left_out_is_a_task(described: dict[str, Any]) -> None:
    task = task_of(described)
    assert task.id == described["taskArn"]
    assert task.state in {"starting", "running", "ended"}
    if task.state == "ended":
        assert described.get("stoppedReason", "") in task.reason
    else:
        assert task.reason == ""
