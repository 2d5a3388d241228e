"""What the launch backend `ecs` does beyond the contract: tasks that ECS shows late, refuses, and forgets."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soulcaster.adapters.aws.ecs import EcsClient
from soulcaster.errors import EcsRefuses, EcsUnavailable, Unavailable
from soulcaster.launcher.backends.ecs import FRESH_SECONDS, OBSERVE_SECONDS, EcsBackend
from soulcaster.ports.launch_backend import LaunchRefused
from tests.support.ecs_server import DROPPED, HOUR, LOST, EcsServer, Fault, refusal
from tests.support.launch_backends import make_launch
from tests.support.launch_in_ecs import ecs_client

LOOKS = 3
"""With the pauses of these tests."""

DENIED = refusal("AccessDeniedException", "User: x is not authorized")


@pytest.fixture
async def server() -> AsyncIterator[EcsServer]:
    async with EcsServer() as server:
        yield server


@pytest.fixture
async def client(server: EcsServer) -> AsyncIterator[EcsClient]:
    async with ecs_client() as client:
        yield client


def backend_on(client: EcsClient, server: EcsServer) -> EcsBackend:
    return EcsBackend(client, pauses=(0,) * (LOOKS - 1), observe_seconds=0, clock=lambda: server.now)


@pytest.fixture
def backend(client: EcsClient, server: EcsServer) -> EcsBackend:
    return backend_on(client, server)


@pytest.fixture
def other(client: EcsClient, server: EcsServer) -> EcsBackend:
    """A launcher that was started again: it remembers nothing."""
    return backend_on(client, server)


# ---- shown late --------------------------------------------------------------------------------------------------


async def test_a_new_task_that_is_not_shown_is_starting_for_minutes(server: EcsServer, backend: EcsBackend) -> None:
    server.hide_new_tasks = 1_000
    launch = make_launch()
    task = await backend.launch(launch)
    server.now += FRESH_SECONDS - 1
    assert await backend.observe(launch) == task
    server.now += 1
    assert (await backend.observe(launch)).state == "gone"


async def test_a_task_that_is_listed_late_is_found_after_a_restart(
    server: EcsServer, backend: EcsBackend, other: EcsBackend
) -> None:
    server.hide_new_tasks = LOOKS
    launch = make_launch()
    task = await backend.launch(launch)
    assert (await other.observe(launch)).id == task.id


async def test_a_task_that_is_listed_late_is_stopped_after_a_restart(
    server: EcsServer, backend: EcsBackend, other: EcsBackend
) -> None:
    server.hide_new_tasks = 2
    launch = make_launch()
    await backend.launch(launch)
    await other.stop(launch)
    assert server.tasks[0].desired == "STOPPED"


async def test_a_task_that_cannot_be_stopped_yet_is_not_said_to_be_stopped(
    server: EcsServer, backend: EcsBackend
) -> None:
    server.hide_new_tasks = LOOKS
    launch = make_launch()
    await backend.launch(launch)
    with pytest.raises(EcsUnavailable, match="yet"):
        await backend.stop(launch)
    await backend.stop(launch)
    assert server.tasks[0].desired == "STOPPED"


async def test_stopping_what_was_never_launched_looks_a_few_times(server: EcsServer, backend: EcsBackend) -> None:
    await backend.stop(make_launch())
    assert {name for name, _ in server.requests} == {"ListTasks"}
    assert len(server.requests) == 2 * LOOKS


# ---- refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [DENIED, refusal("ClientException", "TaskDefinition is inactive")])
async def test_a_refused_launch_runs_nothing_and_says_why(server: EcsServer, backend: EcsBackend, fault: Fault) -> None:
    server.faults["RunTask"] = [fault]
    with pytest.raises(LaunchRefused, match=fault.message):
        await backend.launch(make_launch())
    assert server.tasks == []


async def test_without_capacity_the_same_launch_is_refused_again_and_the_next_one_starts(
    server: EcsServer, backend: EcsBackend
) -> None:
    server.failures = [{"reason": "Capacity is unavailable at this time."}]
    launch = make_launch()
    for _ in range(2):
        with pytest.raises(LaunchRefused, match="Capacity is unavailable"):
            await backend.launch(launch)
    assert (await backend.launch(make_launch(2, job_id=launch.job_id))).state == "starting"


async def test_a_refusal_after_a_lost_answer_finds_the_task(server: EcsServer, backend: EcsBackend) -> None:
    """The first request started the task; the second one is refused, which does not end it."""
    server.hide_new_tasks = 2
    server.faults["RunTask"] = [LOST, DENIED]
    launch = make_launch()
    with pytest.raises(Unavailable):
        await backend.launch(launch)
    assert (await backend.launch(launch)).id == server.tasks[0].arn


async def test_a_refusal_that_leaves_in_doubt_whether_a_task_runs_is_no_refused_launch(
    server: EcsServer, backend: EcsBackend
) -> None:
    server.faults = {"RunTask": [LOST, DENIED], "ListTasks": [DENIED]}
    launch = make_launch()
    with pytest.raises(Unavailable):
        await backend.launch(launch)
    with pytest.raises(EcsRefuses):
        await backend.launch(launch)
    assert (await backend.launch(launch)).id == server.tasks[0].arn
    assert len(server.tasks) == 1


async def test_credentials_that_may_do_nothing_refuse_the_launch(server: EcsServer, backend: EcsBackend) -> None:
    server.faults = {"DescribeTaskDefinition": [DENIED], "ListTasks": [DENIED]}
    with pytest.raises(LaunchRefused, match="IAM policy"):
        await backend.launch(make_launch())


async def test_while_it_cannot_be_looked_up_a_refusal_is_not_final(server: EcsServer, backend: EcsBackend) -> None:
    server.faults = {"RunTask": [DENIED], "ListTasks": [DROPPED]}
    with pytest.raises(EcsUnavailable, match="does not answer ListTasks"):
        await backend.launch(make_launch())


# ---- a token in use ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hidden", "state"), [(0, "running"), (1_000, "starting")])
async def test_other_settings_for_the_same_launch_return_its_task(
    server: EcsServer, backend: EcsBackend, other: EcsBackend, hidden: int, state: str
) -> None:
    server.hide_new_tasks = hidden
    launch = make_launch()
    task = await backend.launch(launch)
    server.tasks[0].move("RUNNING")
    moved = await other.launch(replace(launch, api_url="https://elsewhere.example.com"))
    assert (moved.id, moved.state) == (task.id, state)
    assert len(server.tasks) == 1


async def test_a_conflict_that_names_no_task_finds_it_by_its_key(
    server: EcsServer, backend: EcsBackend, other: EcsBackend
) -> None:
    launch = make_launch()
    task = await backend.launch(launch)
    server.faults["RunTask"] = [refusal("ConflictException", "in use")]
    assert (await other.launch(launch)).id == task.id


async def test_a_conflict_without_any_task_is_refused(server: EcsServer, backend: EcsBackend) -> None:
    server.faults["RunTask"] = [refusal("ConflictException", "in use")]
    with pytest.raises(LaunchRefused, match=r"in use \(ConflictException\)\. It started a task of this launch"):
        await backend.launch(make_launch())


# ---- ended and forgotten -----------------------------------------------------------------------------------------


async def test_an_ended_task_that_is_launched_again_says_how_it_ended(
    server: EcsServer, backend: EcsBackend, other: EcsBackend
) -> None:
    launch = make_launch()
    await backend.launch(launch)
    server.tasks[0].move("RUNNING")
    server.tasks[0].exit(3)
    server.tasks[0].move("STOPPED")
    again = await other.launch(launch)
    assert (again.state, "exit code 3" in again.reason) == ("ended", True)


async def test_a_task_is_forgotten_an_hour_after_its_end_and_stopping_it_does_nothing(
    server: EcsServer, backend: EcsBackend, other: EcsBackend
) -> None:
    launch = make_launch()
    await backend.launch(launch)
    server.tasks[0].move("RUNNING")
    server.tasks[0].exit(0)
    server.moves = True
    while server.tasks[0].status != "STOPPED":
        await backend.observe(launch)
    server.now += HOUR
    for each in (backend, other):
        assert (await each.observe(launch)).state == "gone"
        await each.stop(launch)


# ---- how often ECS is asked --------------------------------------------------------------------------------------


async def test_an_observation_is_good_for_seconds(server: EcsServer, client: EcsClient) -> None:
    backend = EcsBackend(client, clock=lambda: server.now)
    launch = make_launch()
    await backend.launch(launch)
    for _ in range(3):
        assert (await backend.observe(launch)).state == "starting"
    assert len(server.asked("DescribeTasks")) == 1
    server.tasks[0].move("RUNNING")
    server.now += OBSERVE_SECONDS
    assert (await backend.observe(launch)).state == "running"
    await backend.stop(launch)
    assert (await backend.observe(launch)).state == "ended"
    assert "ListTasks" not in {name for name, _ in server.requests}


# ---- whatever happens --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from([None, DROPPED, LOST, DENIED]), max_size=5),
    hidden=st.integers(0, LOOKS - 1),
    restarts=st.lists(st.booleans(), min_size=6, max_size=6),
)
async def test_calling_again_until_there_is_an_answer_starts_one_task(
    server: EcsServer, client: EcsClient, faults: list[Fault | None], hidden: int, restarts: list[bool]
) -> None:
    launch = make_launch()
    server.hide_new_tasks = hidden
    server.faults["RunTask"] = list(faults)
    backend = backend_on(client, server)
    for restart in restarts:
        if restart:
            backend = backend_on(client, server)
        try:
            task = await backend.launch(launch)
        except LaunchRefused:
            assert server.of(launch.key) == []
            break
        except Unavailable:
            continue
        assert [task.id] == [each.arn for each in server.of(launch.key)]
    assert len(server.of(launch.key)) <= 1
