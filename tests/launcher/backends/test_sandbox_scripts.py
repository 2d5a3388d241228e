"""The scripts that start a program in a sandbox, run by bash; and the reading of what they print."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.launcher.backends.sandbox_scripts import (
    OUTPUT_BYTES,
    Status,
    UnreadableStatus,
    read_status,
    start_script,
    status_script,
)
from soulcaster.ports.launch_backend import Launch
from tests.support.e2b_sandbox import E2bSandbox
from tests.support.launch_backends import eventually, make_launch


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[E2bSandbox]:
    sandbox = E2bSandbox("i1", tmp_path, {}, 60)
    yield sandbox
    sandbox.kill()


async def start(sandbox: E2bSandbox, launch: Launch, command: str) -> Status:
    return read_status(await sandbox.printed(start_script(launch, command)))


async def status(sandbox: E2bSandbox, launch: Launch) -> Status:
    return read_status(await sandbox.printed(status_script(launch)))


async def end(sandbox: E2bSandbox, launch: Launch) -> Status:
    async def has_ended() -> bool:
        return (await status(sandbox, launch)).progress in {"exit", "killed"}

    await eventually(has_ended)
    return await status(sandbox, launch)


async def test_before_the_start_there_is_nothing(sandbox: E2bSandbox) -> None:
    assert await status(sandbox, make_launch()) == Status("absent")


async def test_of_many_starts_at_once_one_starts_the_program(sandbox: E2bSandbox, tmp_path: Path) -> None:
    launch = make_launch()
    command = "echo started >>started; exec sleep 60"
    found = await asyncio.gather(*(start(sandbox, launch, command) for _ in range(12)))
    assert {one.progress for one in found} <= {"starting", "running"}

    async def is_started() -> bool:
        return (tmp_path / "started").exists()

    await eventually(is_started)
    assert (await status(sandbox, launch)).progress == "running"
    assert (tmp_path / "started").read_text() == "started\n"


async def test_the_end_is_told_with_the_code_and_what_was_printed(sandbox: E2bSandbox) -> None:
    launch = make_launch()
    await start(sandbox, launch, "echo one; echo two >&2; exit 5")
    assert await end(sandbox, launch) == Status("exit", 5, "one\ntwo\n")


async def test_of_a_long_output_the_end_is_read(sandbox: E2bSandbox) -> None:
    launch = make_launch()
    await start(sandbox, launch, "seq 100000")
    output = (await end(sandbox, launch)).output
    assert len(output) == OUTPUT_BYTES
    assert output.endswith("99999\n100000\n")


async def test_the_command_is_taken_as_it_is(sandbox: E2bSandbox) -> None:
    launch = make_launch()
    await start(sandbox, launch, """printf '%s|' "it's" '$HOME' "{braces}" 'a  b'; echo "$0" "$#" """)
    assert (await end(sandbox, launch)).output == "it's|$HOME|{braces}|a  b|sh 0\n"


async def test_the_program_reads_nothing(sandbox: E2bSandbox) -> None:
    launch = make_launch()
    await start(sandbox, launch, "cat; echo end")
    assert (await end(sandbox, launch)).output == "end\n"


async def test_a_program_that_reaches_its_limit_is_ended_with_its_children(sandbox: E2bSandbox) -> None:
    launch = make_launch(seconds=1)
    await start(sandbox, launch, "sleep 60 & sleep 60; exit 0")
    assert (await end(sandbox, launch)).code == 124
    assert [process.name() for process in sandbox.processes() if process.name() == "sleep"] == []


async def test_a_shell_that_was_killed_is_told(sandbox: E2bSandbox, tmp_path: Path) -> None:
    launch = make_launch()
    await start(sandbox, launch, "sleep 60")
    pid = (tmp_path / ".soulcaster" / launch.key / "pid").read_text()
    await sandbox.printed(f"kill -9 {pid}")
    assert (await end(sandbox, launch)).progress == "killed"


async def test_a_start_that_cannot_write_fails_and_says_why(sandbox: E2bSandbox, tmp_path: Path) -> None:
    (tmp_path / ".soulcaster").write_text("a file in the way")
    launch = make_launch()
    request = {"process": {"cmd": "/bin/bash", "args": ["-l", "-c", start_script(launch, "true")]}}
    *_, errors, ended = await sandbox.run(request, None)
    assert ended["event"]["end"]["exitCode"] == 1
    assert "stderr" in errors["event"]["data"]


@given(noise=st.lists(st.sampled_from(["", "Welcome", "soulcaster running", " @soulcaster running"])), output=st.text())
def test_a_status_is_found_behind_what_a_login_shell_prints(noise: list[str], output: str) -> None:
    printed = "".join(f"{line}\n" for line in noise)
    assert read_status(f"{printed}@soulcaster running\n{output}") == Status("running", output=output)
    assert read_status(f"{printed}@soulcaster exit 17\n{output}") == Status("exit", 17, output)


@given(st.text())
def test_anything_else_is_no_status(printed: str) -> None:
    with pytest.raises(UnreadableStatus):
        read_status(printed.replace("@soulcaster", ""))


@pytest.mark.parametrize("line", ["", "@soulcaster", "@soulcaster exit", "@soulcaster exit x", "@soulcaster gone"])
def test_a_broken_line_is_no_status(line: str) -> None:
    with pytest.raises(UnreadableStatus):
        read_status(f"{line}\n")
