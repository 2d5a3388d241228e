"""Each limit ends the program, with everything that it started, and says which one it was."""

from pathlib import Path

import pytest

from soulcaster.launcher.backends.local.folder import JobFolder
from soulcaster.launcher.backends.local.order import MB, Limits
from tests.support.launch_local import (
    LocalMachine,
    isolation_works,
    needs_isolation,
    run,
)

SMALL = Limits(memory_mb=150, output_mb=1, disk_mb=8, threads=40)


async def test_time(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, "import time; time.sleep(60)", isolated=isolation_works())
    assert (await run(machine, seconds=1)).reason == "it ran longer than 1 s"


async def test_memory_of_all_processes_together(tmp_path: Path, isolated: bool) -> None:
    program = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        break
mine = b"x" * (60 << 20)
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolated, limits=SMALL)
    assert (await run(machine)).reason == "it used more than 150 MB of memory"


@needs_isolation
async def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    program = """
import os, time
mine = b"x" * (60 << 20)
children = [os.fork() for _ in range(4)]
if all(children):
    time.sleep(1)  # several measures
    os.killpg(0, 15)
time.sleep(60)
"""
    assert (await run(LocalMachine(tmp_path, program, limits=SMALL))).reason == "it was killed by SIGTERM"


async def test_memory_of_one_process_ends_at_the_kernels_limit(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, "bytearray(400 << 20)", isolated=isolation_works(), limits=SMALL)
    ended = await run(machine)
    assert ended.reason == "it ended with exit code 1"
    assert "MemoryError" in ended.output


async def test_processes_and_threads(tmp_path: Path, isolated: bool) -> None:
    program = """
import os, time
for _ in range(50):
    if os.fork() == 0:
        break
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolated, limits=SMALL)
    assert (await run(machine)).reason == "it had more than 40 processes and threads"


async def test_output(tmp_path: Path) -> None:
    program = """
while True:
    print("all work and no play" * 100)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolation_works(), limits=SMALL)
    ended = await run(machine)
    assert ended.reason == "it printed more than 1 MB"
    assert "all work and no play" in ended.output
    [folder] = machine.jobs.iterdir()
    assert JobFolder(folder).output.stat().st_size == MB


@needs_isolation
@pytest.mark.parametrize("place", ["~", "/tmp"])  # noqa: S108  a /tmp of its own
async def test_files(tmp_path: Path, place: str) -> None:
    program = f"""
import os, time
place = os.path.expanduser({place!r})
for number in range(10):
    with open(f"{{place}}/{{number}}", "wb") as file:
        file.write(os.urandom(1 << 20))
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, limits=SMALL)
    assert (await run(machine)).reason == "its files took more than 8 MB"


async def test_one_file_ends_at_the_kernels_limit(tmp_path: Path) -> None:
    program = """
import os
with open(os.path.expanduser("~/sparse"), "wb") as file:
    file.truncate(17 << 20)
"""
    ended = await run(LocalMachine(tmp_path, program, isolated=isolation_works(), limits=SMALL))
    assert "File too large" in ended.output
