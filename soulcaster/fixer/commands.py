"""Commands of our own on this machine: each ends with everything that it started, however we stop waiting for it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

KILL_SECONDS = 10.0

_T = TypeVar("_T")


class Done(NamedTuple):
    """How a command ended: its exit code, what it printed, and what it said of errors."""

    code: int
    printed: bytes
    said: bytes


async def run_command(
    command: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | str | None = None,
    given: bytes = b"",
) -> Done:
    """Run a command to its end, with `given` as its input.

    It has a session of its own, and is killed with all of that when this is cancelled or `seconds` are over. A
    cancellation while it starts waits until it has started: asyncio then loses the process, and waits for the end of
    everything that holds its pipes.

    Raises:
        TimeoutError: it took longer.
        OSError: it could not be started.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            env=environment,
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        program = await uninterrupted(starting)
    except asyncio.CancelledError:
        if not starting.cancelled() and starting.exception() is None:
            await uninterrupted(_end(starting.result()))
        raise
    try:
        async with asyncio.timeout(seconds):
            printed, said = await program.communicate(given)
    finally:
        await uninterrupted(_end(program))
    return Done(await program.wait(), printed, said)


async def uninterrupted(awaitable: Awaitable[_T]) -> _T:
    """Return what this returns, in any case after its end; a cancellation meanwhile is raised then."""
    task = asyncio.ensure_future(awaitable)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()


async def _end(program: asyncio.subprocess.Process) -> None:
    """End what is left of a command, helpers that it started included."""
    if program.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # what the kernel cannot end at once must not hold us up
            async with asyncio.timeout(KILL_SECONDS):
                await program.wait()
