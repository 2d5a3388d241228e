"""What every launch backend promises (`soulcaster.ports.launch_backend`), on each of them.

To add a backend: a harness in `tests/support/`, and its line in `HARNESSES`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import uuid4

import pytest

from soulcaster.errors import Unavailable
from soulcaster.ports.launch_backend import Launch, LaunchBackend, Task, TaskState
from tests.support.launch_backends import PRINTS, Harness, Lack, eventually, make_launch
from tests.support.launch_dry_run import dry_run
from tests.support.launch_in_e2b import in_e2b
from tests.support.launch_in_ecs import in_ecs
from tests.support.launch_local import local

HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[Harness]]] = {
    "dry-run": dry_run,
    "e2b": in_e2b,
    "ecs": in_ecs,
    "local": local,
}
"""Each gets a folder of its own."""


@pytest.fixture(params=HARNESSES)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with HARNESSES[request.param](tmp_path) as harness:
        yield harness


@pytest.fixture
async def backend(harness: Harness) -> AsyncIterator[LaunchBackend]:
    backend = harness.backend()
    yield backend
    await backend.close()


@pytest.fixture
async def other(harness: Harness) -> AsyncIterator[LaunchBackend]:
    """Another launcher on the same vendor."""
    backend = harness.backend()
    yield backend
    await backend.close()


def need(harness: Harness, *what: Lack) -> None:
    for one in what:
        if one in harness.lacks:
            pytest.skip(f"this backend has no {one}")


async def until(backend: LaunchBackend, launch: Launch, state: TaskState) -> Task:
    async def is_so() -> bool:
        return (await backend.observe(launch)).state == state

    await eventually(is_so)
    return await backend.observe(launch)


async def until_started(harness: Harness, backend: LaunchBackend, launch: Launch) -> None:
    """Return when the program does what it is there for."""

    async def is_so() -> bool:
        return await harness.started(launch) == 1 and await harness.alive(launch) == 1

    await until(backend, launch, "running")
    await eventually(is_so)


async def until_dead(harness: Harness, launch: Launch) -> None:
    async def is_so() -> bool:
        return await harness.alive(launch) == 0

    await eventually(is_so)


# ---- once for each key ---------------------------------------------------------------------------------------------


async def test_a_launch_is_accepted_and_then_runs(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    task = await backend.launch(launch)
    assert task.state in {"starting", "running"}
    assert task.id
    await until_started(harness, backend, launch)
    assert (await backend.observe(launch)).id == task.id


async def test_calls_at_once_from_two_launchers_start_one_program(
    harness: Harness, backend: LaunchBackend, other: LaunchBackend
) -> None:
    need(harness, "vendor")
    launch = make_launch()
    tasks = await asyncio.gather(*(one.launch(launch) for one in (backend, other) * 4))
    await until_started(harness, backend, launch)
    assert len({task.id for task in tasks}) == 1
    assert await harness.started(launch) == 1


async def test_after_a_restart_the_same_launch_starts_nothing(harness: Harness, other: LaunchBackend) -> None:
    launch = make_launch()
    backend = harness.backend()
    first = await backend.launch(launch)
    await backend.close()
    await until_started(harness, other, launch)
    second = await other.launch(launch)
    assert second.id == first.id
    assert second.state in {"starting", "running"}
    assert await harness.started(launch) == 1


async def test_a_launch_whose_answer_was_lost_is_adopted(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    launch = make_launch()
    await harness.launch_unheard(launch)
    task = await backend.launch(launch)
    await until_started(harness, backend, launch)
    assert (await backend.observe(launch)).id == task.id
    assert await harness.started(launch) == 1


async def test_a_launch_whose_answer_was_lost_is_found(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    launch = make_launch()
    await harness.launch_unheard(launch)
    await until_started(harness, backend, launch)


async def test_a_launch_whose_caller_was_cancelled_is_adopted(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    calling = asyncio.create_task(backend.launch(launch))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    assert await harness.started(launch) == 1


async def test_after_its_end_the_same_launch_starts_nothing(
    harness: Harness, backend: LaunchBackend, other: LaunchBackend
) -> None:
    need(harness, "vendor")
    launch = make_launch()
    first = await backend.launch(launch)
    await until_started(harness, backend, launch)
    await harness.finish(launch, 0)
    await until(backend, launch, "ended")
    for one in (backend, other):
        again = await one.launch(launch)
        assert (again.id, again.state) == (first.id, "ended")
    assert await harness.started(launch) == 1


async def test_a_retry_is_a_launch_of_its_own(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    first = make_launch()
    second = make_launch(2, job_id=first.job_id)
    one = await backend.launch(first)
    await until_started(harness, backend, first)
    await harness.finish(first, 1)
    await until(backend, first, "ended")
    assert (await backend.observe(second)).state == "gone"
    assert (await backend.launch(second)).id != one.id
    await until_started(harness, backend, second)
    assert await harness.started(first) == 1


# ---- what is seen of it --------------------------------------------------------------------------------------------


async def test_another_launcher_sees_the_same(harness: Harness, backend: LaunchBackend, other: LaunchBackend) -> None:
    launch = make_launch()
    task = await backend.launch(launch)
    await until_started(harness, backend, launch)
    seen = await other.observe(launch)
    assert (seen.id, seen.state) == (task.id, "running")


async def test_what_was_never_launched_is_gone(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    assert (await backend.observe(make_launch())).state == "gone"


async def test_a_program_that_succeeds_has_ended(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await harness.finish(launch, 0)
    await until(backend, launch, "ended")
    await until_dead(harness, launch)


async def test_the_reason_of_an_end_tells_the_exit_code(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "program")
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await harness.finish(launch, 3)
    assert "3" in (await until(backend, launch, "ended")).reason


async def test_the_output_is_what_the_program_printed_last(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "program", "output")
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await harness.finish(launch, 0)
    assert PRINTS in (await until(backend, launch, "ended")).output


async def test_the_program_has_the_variables_of_the_launch_and_nothing_of_ours(
    harness: Harness, backend: LaunchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(harness, "program")
    monkeypatch.setenv("A_SECRET_OF_THE_LAUNCHER", "secret")
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    found = dict(await harness.environment(launch))
    assert {name: found.pop(name, None) for name in launch.environment()} == launch.environment()
    assert set(found) == harness.base_variables


def test_a_key_is_short_and_plain() -> None:
    key = make_launch(999_999, job_id=str(uuid4())).key
    assert len(key) <= 64
    assert key.isascii()
    assert key.isprintable()


async def test_closing_leaves_programs_running(harness: Harness, other: LaunchBackend) -> None:
    need(harness, "vendor")
    launch = make_launch()
    backend = harness.backend()
    await backend.launch(launch)
    await until_started(harness, other, launch)
    await backend.close()
    assert (await other.observe(launch)).state == "running"
    assert await harness.alive(launch) == 1


# ---- stopping ------------------------------------------------------------------------------------------------------


async def test_stopping_ends_the_program(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await backend.stop(launch)
    await until_dead(harness, launch)
    assert (await until(backend, launch, "ended")).reason


async def test_another_launcher_may_stop_it_and_twice(
    harness: Harness, backend: LaunchBackend, other: LaunchBackend
) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await asyncio.gather(other.stop(launch), backend.stop(launch))
    await other.stop(launch)
    await until_dead(harness, launch)
    await until(backend, launch, "ended")


async def test_stopping_what_starts_ends_it(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await backend.stop(launch)
    await until_dead(harness, launch)
    await until(backend, launch, "ended")


async def test_stopping_what_nobody_heard_of_ends_it(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    launch = make_launch()
    await harness.launch_unheard(launch)
    await backend.stop(launch)
    await until_dead(harness, launch)
    await until(backend, launch, "ended")


async def test_stopping_leaves_other_launches_alone(harness: Harness, backend: LaunchBackend) -> None:
    kept, stopped = make_launch(), make_launch()
    for launch in (kept, stopped):
        await backend.launch(launch)
        await until_started(harness, backend, launch)
    await backend.stop(stopped)
    await until_dead(harness, stopped)
    assert await harness.alive(kept) == 1
    assert (await backend.observe(kept)).state == "running"


async def test_stopping_what_has_ended_changes_nothing(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await harness.finish(launch, 0)
    ended = await until(backend, launch, "ended")
    await backend.stop(launch)
    assert await backend.observe(launch) == ended


async def test_stopping_what_was_never_launched_starts_nothing(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.stop(launch)
    assert await harness.started(launch) == 0
    assert (await backend.observe(launch)).state in {"gone", "ended"}


async def test_a_launch_after_its_stop_starts_nothing(
    harness: Harness, backend: LaunchBackend, other: LaunchBackend
) -> None:
    need(harness, "memory of stops")
    launch = make_launch()
    await backend.stop(launch)
    for one in (backend, other):
        assert (await one.launch(launch)).state == "ended"
    assert await harness.started(launch) == 0


async def test_a_launch_that_was_stopped_does_not_start_again(harness: Harness, backend: LaunchBackend) -> None:
    launch = make_launch()
    await backend.launch(launch)
    await until_started(harness, backend, launch)
    await backend.stop(launch)
    await until(backend, launch, "ended")
    assert (await backend.launch(launch)).state == "ended"
    assert await harness.started(launch) == 1
    assert await harness.alive(launch) == 0


async def test_a_stop_and_a_launch_at_once_leave_nothing_running(
    harness: Harness, backend: LaunchBackend, other: LaunchBackend
) -> None:
    need(harness, "memory of stops")
    launch = make_launch()
    await asyncio.gather(backend.launch(launch), other.stop(launch))
    await until(backend, launch, "ended")
    await until_dead(harness, launch)
    assert (await backend.launch(launch)).state == "ended"
    assert await harness.alive(launch) == 0


# ---- the vendor is away --------------------------------------------------------------------------------------------


async def test_while_the_vendor_is_away_every_call_says_so(harness: Harness, backend: LaunchBackend) -> None:
    need(harness, "vendor")
    running, new = make_launch(), make_launch()
    await backend.launch(running)
    await until_started(harness, backend, running)
    async with harness.away():
        with pytest.raises(Unavailable):
            await backend.launch(new)
        with pytest.raises(Unavailable):
            await backend.observe(running)
        with pytest.raises(Unavailable):
            await backend.stop(running)
    await backend.launch(new)
    await until_started(harness, backend, new)
    await backend.stop(running)
    await until_dead(harness, running)
