"""One command, from its start to the death of everything that it started."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from soulcaster.fixer.commands import uninterrupted
from soulcaster.fixer.sandbox.lines import Lines
from soulcaster.isolation.meters import DiskMeter, usage
from soulcaster.isolation.program import NotStarted, Program, how_it_ended
from soulcaster.ports.sandbox import Ended, Limit, NoSandbox, SandboxLimits

LOOK_SECONDS = 0.25
DISK_SLICE_SECONDS = 0.05
READ_BYTES = 64 * 1024

LINE_COUNTS_BYTES = 40
"""How much a line counts at least, of what a command may print: a million empty lines are work for everybody."""

NOT_FOUND = 127
"""The exit code of a command that could not be started, as shells have it."""

THREADS = 4
"""How many threads the kernel allows for each process that a command may have."""

MB = 2**20


class Running:
    """A command that runs. `folders` are those that it writes to, which the limit of its files is about."""

    def __init__(
        self,
        program: Program,
        limits: SandboxLimits,
        folders: Sequence[Path],
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._program = program
        self._limits = limits
        self._lines = Lines(on_line)
        self._disk = DiskMeter(folders)
        self._over = asyncio.Event()
        self._reason: str | None = None
        self._limit: Limit | None = None
        self._code: int | None = None
        self._error: Exception | None = None
        self._started = self._failed = False
        self._said = b""
        self._printed = 0
        self._began = self._heard = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._open = {program.output: self._take_output, program.report: self._take_report}

    async def to_end(self) -> Ended:
        """Run it to its end, or to a limit.

        Raises:
            NoSandbox: it could not be started.
        """
        try:
            await uninterrupted(asyncio.to_thread(self._program.start))
            self._began = self._heard = time.monotonic()
            for pipe, take in self._open.items():
                self._loop.add_reader(pipe, take)
            await self._watch()
        except NotStarted:
            self._failed = True
        except OSError as error:
            raise NoSandbox(f"Commands cannot be isolated here: {error}.") from error
        finally:
            await uninterrupted(self._end())
        return self._ended()

    def _ended(self) -> Ended:
        if self._error is not None:
            raise self._error
        tail = self._lines.tail()
        if self._failed:
            raise NoSandbox(f"Commands cannot be isolated here: {tail or 'the process that runs them did not start'}")
        seconds = time.monotonic() - self._began
        return Ended(self._code, self._reason or "", tail, seconds, limit=self._limit)

    async def _end(self) -> None:
        await asyncio.to_thread(self._program.kill)
        await asyncio.to_thread(self._program.wait)
        for pipe in list(self._open):
            os.set_blocking(pipe, False)
            while pipe in self._open:
                try:
                    self._open[pipe]()
                except BlockingIOError:
                    self._close(pipe)
        self._guarded(self._lines.end)

    # ---- what it says ------------------------------------------------------------------------------------------------

    def _take_output(self) -> None:
        if data := self._read(self._program.output):
            self._heard = time.monotonic()
            lines = self._lines.count
            self._guarded(lambda: self._lines.take(data))
            self._printed += max(len(data), LINE_COUNTS_BYTES * (self._lines.count - lines))
            if self._printed > self._limits.output_bytes:
                self._give_up(f"it printed more than {_size(self._limits.output_bytes)}", "output")

    def _take_report(self) -> None:
        data = self._read(self._program.report)
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        if not data:
            self._failed = not self._started
            self._give_up("it was killed with the process that runs it, by the machine or by a person")

    def _hear(self, event: dict[str, Any]) -> None:
        self._started = True
        if "failed" in event:
            self._code = self._code if self._reason else NOT_FOUND
            self._give_up(event["failed"])
        elif "ended" in event:
            code = os.waitstatus_to_exitcode(event["ended"])
            self._code = code if code >= 0 and self._reason is None else self._code
            self._give_up(how_it_ended(event["ended"]))

    def _read(self, pipe: int) -> bytes:
        data = os.read(pipe, READ_BYTES)
        if not data:
            self._close(pipe)
        return data

    def _close(self, pipe: int) -> None:
        self._loop.remove_reader(pipe)
        del self._open[pipe]
        os.close(pipe)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do what calls the caller's `on_line`; its error ends the command and is raised by `to_end`."""
        try:
            step()
        except Exception as error:
            self._error = self._error or error
            self._give_up("what reads its lines failed")

    # ---- limits ------------------------------------------------------------------------------------------------------

    def _give_up(self, reason: str, limit: Limit | None = None) -> None:
        if self._reason is None:
            self._reason, self._limit = reason, limit
        self._over.set()

    async def _watch(self) -> None:
        while not self._over.is_set():
            await asyncio.to_thread(self._measure)
            self._look_at_clock()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._over.wait()
            except TimeoutError:
                continue

    def _look_at_clock(self) -> None:
        now, limits = time.monotonic(), self._limits
        if now - self._began > limits.seconds:
            self._give_up(f"it ran longer than {limits.seconds:,g} s", "time")
        if limits.idle_seconds is not None and now - self._heard > limits.idle_seconds:
            self._give_up(f"it printed nothing for {limits.idle_seconds:,g} s", "idle")

    def _measure(self) -> None:
        """Compare what it uses with its limits; in a thread, which only sets the reason."""
        limits = self._limits
        processes = self._program.processes()
        over: tuple[str, Limit] | None = None
        if len(processes) > limits.processes:  # before all else: what forks without end must not win time
            self._loop.call_soon_threadsafe(
                self._give_up, f"it had more than {limits.processes:,} processes", "processes"
            )
            return
        used = usage(processes, limits.memory_bytes)
        if used.threads > THREADS * limits.processes:
            over = f"it had more than {THREADS * limits.processes:,} threads", "processes"
        elif used.memory > limits.memory_bytes:
            over = f"it used more than {_size(limits.memory_bytes)} of memory", "memory"
        elif self._disk.measure(DISK_SLICE_SECONDS) > limits.disk_bytes:
            over = f"its files took more than {_size(limits.disk_bytes)}", "disk"
        if over is not None:
            self._loop.call_soon_threadsafe(self._give_up, *over)


def _size(size: int) -> str:
    return f"{size / MB:,.0f} MB" if size >= MB else f"{size:,} bytes"
