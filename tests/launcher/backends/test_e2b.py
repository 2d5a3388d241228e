"""The backend `e2b` beyond the contract: lost calls one by one, several sandboxes of a launch, times to live, errors.

The contract is in `tests/contract/test_launch_backend.py`.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.errors import Unavailable
from soulcaster.launcher.backends.e2b import MARGIN_SECONDS, E2bBackend
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task
from soulcaster.services.job_tokens import AFTER_END
from tests.support.e2b_server import Call, E2bServer
from tests.support.launch_backends import eventually, make_launch
from tests.support.launch_in_e2b import E2bHarness, e2b_harness

Loss = Literal["request lost", "answer lost", "launcher killed"]


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[E2bHarness]:
    async with e2b_harness(tmp_path) as harness:
        yield harness


@pytest.fixture
def server(harness: E2bHarness) -> E2bServer:
    return harness.server


async def runs_once(harness: E2bHarness, launch: Launch) -> bool:
    return await harness.started(launch) == 1 and await harness.alive(launch) == 1


async def runs(harness: E2bHarness, backend: E2bBackend, launch: Launch) -> Task:
    """Launch, and return when the program runs."""
    task = await backend.launch(launch)
    await eventually(lambda: runs_once(harness, launch))
    return task


# ---- once, whatever is lost ------------------------------------------------------------------------------------------


async def lose(server: E2bServer, loss: Loss, number: int, launching: "asyncio.Task[Task] | None" = None) -> None:
    """Let the call of this number be lost."""

    async def spoil(call: Call) -> None:
        if len(server.calls) != number:
            return
        if loss == "request lost":
            server.lose_request(call)
        elif loss == "answer lost":
            server.lose_answer(call)
        elif launching is not None:
            launching.cancel()

    server.before = spoil


@pytest.mark.parametrize("has_idempotency", [True, False], ids=["new server", "old server"])
@pytest.mark.parametrize("loss", ["request lost", "answer lost", "launcher killed"])
@pytest.mark.parametrize("number", range(1, 6))
async def test_after_the_loss_of_any_call_the_next_launcher_starts_what_is_missing(
    harness: E2bHarness, server: E2bServer, loss: Loss, number: int, has_idempotency: bool
) -> None:
    server.has_idempotency = has_idempotency
    launch = make_launch()
    launching = asyncio.create_task(harness.backend().launch(launch))
    await lose(server, loss, number, launching)
    await asyncio.gather(launching, return_exceptions=True)
    server.before = None
    task = await runs(harness, harness.backend(), launch)

    async def is_seen() -> bool:
        seen = await harness.backend().observe(launch)
        return seen == Task(task.id, "running", output="the program is here\n")

    await eventually(is_seen)
    assert len(server.all_sandboxes) == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["request lost", "answer lost", "served"]), max_size=24), st.booleans())
def test_however_calls_are_lost_one_program_starts(fates: list[str], old: bool) -> None:
    async def launch_until_it_runs() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with e2b_harness(Path(folder)) as harness:
                server = harness.server
                server.has_idempotency = not old
                coming = iter(fates)

                async def spoil(call: Call) -> None:
                    match next(coming, "served"):
                        case "request lost":
                            server.lose_request(call)
                        case "answer lost":
                            server.lose_answer(call)

                server.before = spoil
                launch = make_launch()
                for _ in range(len(fates) + 1):
                    await asyncio.gather(harness.backend().launch(launch), return_exceptions=True)
                await eventually(lambda: runs_once(harness, launch))

    asyncio.run(launch_until_it_runs())


async def test_a_launch_that_was_stopped_by_another_launcher_starts_nothing(
    harness: E2bHarness, server: E2bServer
) -> None:
    launch = make_launch()
    task = await runs(harness, harness.backend(), launch)
    await harness.backend().stop(launch)
    again = await harness.backend().launch(launch)
    assert (again.id, again.state) == (task.id, "ended")
    assert server.sandboxes == {}


async def test_a_stop_between_creation_and_start_wins(harness: E2bHarness, server: E2bServer) -> None:
    server.has_idempotency = False
    launch = make_launch()

    async def stop_before_the_start(call: Call) -> None:
        if call == "run":
            server.before = None
            await harness.backend().stop(launch)

    server.before = stop_before_the_start
    assert (await harness.backend().launch(launch)).state == "ended"
    assert await harness.started(launch) == 0
    assert server.sandboxes == {}


# ---- several sandboxes of one launch (a server without idempotency keys) ---------------------------------------------


async def test_of_idle_sandboxes_the_oldest_is_used_and_the_others_are_removed(
    harness: E2bHarness, server: E2bServer
) -> None:
    launch = make_launch()
    oldest, *_ = [server.add(launch.key) for _ in range(3)]
    task = await runs(harness, harness.backend(), launch)
    assert task.id == oldest.id
    assert list(server.sandboxes) == [oldest.id]


async def test_a_sandbox_whose_program_has_started_is_kept_though_an_older_one_appears(
    harness: E2bHarness, server: E2bServer
) -> None:
    server.has_idempotency = False
    launch = make_launch()
    gate = asyncio.Event()
    server.creations.append(gate)
    slow = asyncio.create_task(harness.backend().launch(launch))  # its sandbox is older, and seen later

    async def is_creating() -> bool:
        return server.creations == []

    await eventually(is_creating)
    quick = await runs(harness, harness.backend(), launch)
    gate.set()
    assert (await slow).id == quick.id
    assert await runs_once(harness, launch)
    assert list(server.sandboxes) == [quick.id]


async def test_a_launcher_whose_sandbox_another_one_removed_joins_the_kept_one(
    harness: E2bHarness, server: E2bServer
) -> None:
    server.has_idempotency = False
    launch = make_launch()
    winner = harness.backend()

    async def another_launcher_chooses(call: Call) -> None:
        if call == "run":
            server.before = None
            older = server.add(launch.key)
            older.started_at = older.started_at.replace(year=2000)
            await winner.launch(launch)

    server.before = another_launcher_chooses
    task = await runs(harness, harness.backend(), launch)
    assert task.id == (await winner.observe(launch)).id
    assert len(server.sandboxes) == 1


async def test_all_sandboxes_of_a_launch_are_stopped(harness: E2bHarness, server: E2bServer) -> None:
    launch, other = make_launch(), make_launch()
    for _ in range(3):
        server.add(launch.key)
    kept = server.add(other.key)
    server.page = 1
    await harness.backend().stop(launch)
    assert list(server.sandboxes) == [kept.id]


async def test_what_runs_is_seen_among_idle_sandboxes(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    task = await runs(harness, harness.backend(), launch)
    older = server.add(launch.key)
    older.started_at = older.started_at.replace(year=2000)
    seen = await harness.backend().observe(launch)
    assert (seen.id, seen.state) == (task.id, "running")


async def test_an_idle_sandbox_is_seen_as_starting(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    sandbox = server.add(launch.key)
    assert await harness.backend().observe(launch) == Task(sandbox.id, "starting")


async def test_a_sandbox_that_somebody_paused_is_left_alone(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    backend = harness.backend()
    task = await runs(harness, backend, launch)
    (sandbox,) = server.sandboxes.values()
    sandbox.state = "paused"
    for one in (backend, harness.backend()):
        for seen in (await one.observe(launch), await one.observe(launch), await one.launch(launch)):
            assert (seen.id, seen.state) == (task.id, "running")
            assert "paused" in seen.reason
    assert sandbox.state == "paused"
    await backend.stop(launch)
    assert server.sandboxes == {}


async def test_a_paused_sandbox_is_kept_and_an_idle_one_beside_it_removed(
    harness: E2bHarness, server: E2bServer
) -> None:
    launch = make_launch()
    older = server.add(launch.key)
    paused = server.add(launch.key)
    paused.state = "paused"
    assert (await harness.backend().launch(launch)).id == paused.id
    assert older.id not in server.sandboxes
    assert await harness.started(launch) == 0


# ---- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ttl", "expected"), [(0, 60 + MARGIN_SECONDS), (5_000, 5_000)])
async def test_a_sandbox_outlives_its_program(harness: E2bHarness, server: E2bServer, ttl: int, expected: int) -> None:
    await E2bBackend(server.client(), "true", ttl_seconds=ttl).launch(make_launch(seconds=60))
    assert [asked["timeout"] for asked in server.created_with] == [expected]


def test_a_sandbox_outlives_the_token_of_its_launch() -> None:
    assert AFTER_END.total_seconds() < MARGIN_SECONDS


async def test_a_sandbox_that_was_created_long_ago_lives_longer_from_its_start_on(
    harness: E2bHarness, server: E2bServer
) -> None:
    launch = make_launch(seconds=7_200)
    sandbox = server.add(launch.key)
    backend = harness.backend()
    await runs(harness, backend, launch)
    assert sandbox.seconds == 7_200 + MARGIN_SECONDS
    sandbox.seconds = 1_000
    await harness.backend().launch(launch)
    await backend.observe(launch)
    assert sandbox.seconds == 1_000


async def test_a_time_limit_above_the_plan_is_refused_and_says_what_to_do(
    harness: E2bHarness, server: E2bServer
) -> None:
    server.most_hours = 1
    with pytest.raises(LaunchRefused, match=r"4320 seconds.*SANDBOX_AGENT_TIMEOUT_SECONDS"):
        await harness.backend().launch(make_launch(seconds=3_600))


async def test_a_program_that_reaches_its_limit_has_ended_and_says_why(harness: E2bHarness) -> None:
    backend = harness.backend()
    launch = make_launch(seconds=1)
    await backend.launch(launch)

    async def has_ended() -> bool:
        return (await backend.observe(launch)).state == "ended"

    await eventually(has_ended)
    assert "time limit of 1 second" in (await backend.observe(launch)).reason


# ---- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "reason"), [(0, "exit code 0"), (3, "exit code 3"), (137, "signal 9")])
async def test_the_reason_of_an_end(harness: E2bHarness, code: int, reason: str) -> None:
    backend = harness.backend()
    launch = make_launch()
    await runs(harness, backend, launch)
    await harness.finish(launch, code)

    async def has_ended() -> bool:
        return (await backend.observe(launch)).state == "ended"

    await eventually(has_ended)
    assert reason in (await backend.observe(launch)).reason
    assert await harness.backend().observe(launch) == await backend.observe(launch)


async def test_a_sandbox_that_reached_its_end_has_ended_or_is_gone(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    backend = harness.backend()
    task = await runs(harness, backend, launch)
    server.drop(server.sandboxes[task.id])
    seen = await backend.observe(launch)
    assert (seen.id, seen.state) == (task.id, "ended")
    assert "time to live" in seen.reason
    assert (await harness.backend().observe(launch)).state == "gone"


async def test_to_observe_what_runs_takes_one_request(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    backend = harness.backend()
    await runs(harness, backend, launch)
    server.calls.clear()
    await backend.observe(launch)
    assert server.calls == ["run"]


# ---- errors ----------------------------------------------------------------------------------------------------------


async def test_a_wrong_key_refuses_launches_and_says_so_otherwise(server: E2bServer) -> None:
    backend = E2bBackend(server.client(key="e2b_wrong"))
    launch = make_launch()
    with pytest.raises(LaunchRefused, match="E2B_API_KEY"):
        await backend.launch(launch)
    with pytest.raises(Unavailable, match="E2B_API_KEY"):
        await backend.observe(launch)
    with pytest.raises(Unavailable, match="E2B_API_KEY"):
        await backend.stop(launch)


async def test_too_many_sandboxes_refuse_a_launch(harness: E2bHarness, server: E2bServer) -> None:
    server.most_sandboxes = 0
    with pytest.raises(LaunchRefused, match="no more sandboxes"):
        await harness.backend().launch(make_launch())


async def test_a_server_error_leaves_a_launch_to_be_repeated(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    backend = harness.backend()
    server.failures += [(500, {"code": 500, "message": "Error"}), (503, {"code": 503, "message": "Busy"})]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await backend.launch(launch)
    await runs(harness, backend, launch)


async def test_a_sandbox_that_can_start_nothing_refuses_the_launch(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    sandbox = server.add(launch.key)
    (sandbox.folder / ".soulcaster").write_text("a file in the way")
    with pytest.raises(LaunchRefused, match="cannot start a program"):
        await harness.backend().launch(launch)


async def test_a_sandbox_that_answers_nonsense_is_unavailable(harness: E2bHarness, server: E2bServer) -> None:
    launch = make_launch()
    sandbox = server.add(launch.key)
    (sandbox.folder / ".bash_profile").write_text("exit 0\n")
    with pytest.raises(Unavailable, match="no status"):
        await harness.backend().observe(launch)
    with pytest.raises(Unavailable, match="no status"):
        await harness.backend().launch(launch)
