"""Commands of our own: however they end, nothing of them is left."""

import asyncio
import os
from pathlib import Path

import pytest

from soulcaster.fixer.commands import run_command
from tests.support.processes import left


async def gone(mark: str) -> None:
    async with asyncio.timeout(60):  # the kernel ends it a moment later
        while left(mark):
            await asyncio.sleep(0.01)


async def test_it_says_how_it_ended(tmp_path: Path) -> None:
    script = "cat; echo here; pwd; echo $WORD; echo bad >&2; exit 3"
    done = await run_command(
        ["sh", "-c", script], seconds=60, environment={"WORD": "word"}, folder=tmp_path, given=b"given\n"
    )
    assert done == (3, f"given\nhere\n{tmp_path}\nword\n".encode(), b"bad\n")


async def test_out_of_time_nothing_of_it_is_left() -> None:
    mark = f"6{os.getpid()}1"
    with pytest.raises(TimeoutError):
        await run_command(["sh", "-c", f"sleep {mark} & sleep {mark}"], seconds=0.3)
    await gone(mark)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 100])
async def test_cancelled_at_any_turn_it_ends_at_once_and_nothing_of_it_is_left(turns: int) -> None:
    mark = f"6{os.getpid()}{turns + 100}"
    running = asyncio.create_task(run_command(["sh", "-c", f"sleep {mark} & sleep {mark}"], seconds=600))
    for _ in range(turns):
        await asyncio.sleep(0.001 if turns == 100 else 0)
    running.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await running
    await gone(mark)


async def test_what_cannot_be_started_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run_command(["no-such-program"], seconds=60)
