"""Who may die when: launchers, supervisors, guards, programs; and stopping."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from soulcaster.launcher.backends.local.folder import DIED, JobFolder, Start
from soulcaster.ports.launch_backend import Task
from tests.support.launch_backends import eventually, make_launch
from tests.support.launch_local import (
    FAMILY,
    LocalMachine,
    end_of,
    isolation_works,
    names,
    nothing_runs,
    run,
    running,
)


@pytest.mark.parametrize("after", ["supervisor.log", "lock"])
async def test_a_killed_launcher_is_followed_by_one_that_starts_nothing_twice(
    tmp_path: Path, after: str, isolated: bool
) -> None:
    machine = LocalMachine(tmp_path, isolated=isolated)
    launch, backend = make_launch(), machine.backend()
    launcher = machine.launcher(launch)
    while after not in names(machine.folder(launch)):
        await asyncio.sleep(0)
    launcher.kill()
    launcher.wait()
    await backend.launch(launch)

    async def is_so() -> bool:
        return await machine.started(launch) == 1

    await eventually(is_so)
    await machine.finish(launch, 0)
    assert (await end_of(backend, launch)).reason == "it ended with exit code 0"
    assert await machine.started(launch) == 1


async def test_with_its_supervisor_everything_dies(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGKILL)
        ended = await end_of(backend, launch)
        assert ended.reason == DIED
        await nothing_runs(machine, launch)
        assert await backend.launch(launch) == ended
        await backend.stop(launch)
        assert await backend.observe(launch) == ended


async def test_a_supervisor_killed_before_the_program_started_has_ended_it(tmp_path: Path) -> None:
    machine, launch = LocalMachine(tmp_path, isolated=False), make_launch()
    folder = machine.folder(launch)
    folder.create()
    lock = folder.claim()
    assert lock is not None
    assert (await machine.backend().observe(launch)).state == "starting"
    folder.write_start(Start(4711))
    assert (await machine.backend().observe(launch)).state == "starting"
    lock.close()
    for _ in range(2):
        assert await machine.backend().launch(launch) == Task("process 4711", "ended", DIED)


async def test_a_program_that_is_killed_has_ended(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, isolated=isolated)
    async with running(machine) as (backend, launch):
        [program] = machine.processes(launch)
        program.kill()
        assert (await end_of(backend, launch)).reason == "it was killed by SIGKILL"
        await nothing_runs(machine, launch)


async def test_without_its_guard_everything_dies(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        ours = machine.processes(launch)
        supervisor = psutil.Process(int((await backend.observe(launch)).id.split()[1]))
        for process in supervisor.children(recursive=True):
            if process not in ours:
                process.kill()
        assert "was killed" in (await end_of(backend, launch)).reason
        await nothing_runs(machine, launch)


async def test_what_a_program_leaves_behind_dies_with_it(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        await machine.finish(launch, 7)
        assert (await end_of(backend, launch)).reason == "it ended with exit code 7"
        assert machine.all_processes(launch) == []


async def test_its_files_are_removed_at_the_end(tmp_path: Path) -> None:
    program = """
import os
os.chdir(os.path.expanduser("~"))
os.makedirs("locked/inside")
os.chmod("locked", 0)
os.symlink("/usr", "a-link")
for _ in range(1500):
    os.mkdir("deep")
    os.chdir("deep")
"""
    machine = LocalMachine(tmp_path, program, isolated=isolation_works())
    await run(machine)
    [folder] = machine.jobs.iterdir()

    async def gone() -> bool:
        return not (folder / "files").exists()

    await eventually(gone)
    assert JobFolder(folder).log.read_text() == ""
    start = JobFolder(folder).start()
    assert start is not None
    groups = Path("/sys/fs/cgroup").glob(f"**/soulcaster-{start.pid}-*")  # noqa: ASYNC240
    assert not list(groups)


# ---- stopping ------------------------------------------------------------------------------------------------------


async def test_stopping_ends_the_whole_family(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        await backend.stop(launch)
        assert machine.all_processes(launch) == []
        assert (await backend.observe(launch)).reason == "stopped"


async def test_a_supervisor_that_hangs_is_killed(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGSTOP)
        await backend.stop(launch)
        await nothing_runs(machine, launch)
        assert (await backend.observe(launch)).reason == DIED


async def test_a_supervisor_that_is_told_to_end_ends_the_program_and_says_so(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, isolated=isolation_works())
    async with running(machine) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGTERM)
        assert (await end_of(backend, launch)).reason == "its supervisor was told to end (SIGTERM)"
