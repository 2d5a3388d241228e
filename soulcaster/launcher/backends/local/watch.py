"""Watches a program: takes what it prints, hears what its guard reports, and compares what it uses with its limits."""

import json
import os
import selectors
import time
from typing import Any

from soulcaster.isolation.meters import DiskMeter, usage
from soulcaster.isolation.program import Program, how_it_ended
from soulcaster.launcher.backends.local.folder import JobFolder, Start
from soulcaster.launcher.backends.local.order import MB, Order

TICK_SECONDS = 0.1
MEASURE_SECONDS = 0.25
DISK_SLICE_SECONDS = 0.02


class Watch:
    """Takes what the program prints, and watches what it uses."""

    def __init__(self, order: Order, folder: JobFolder, program: Program) -> None:
        self._order = order
        self._limits = order.limits
        self._folder = folder
        self._program = program
        self._disk = DiskMeter([folder.home.parent])
        self._deadline = time.monotonic() + order.seconds
        self._measure_at = 0.0
        self._printed = 0
        self._said = b""
        self._reason: str | None = None
        self._selector = selectors.DefaultSelector()
        for pipe, take in ((program.output, self._take_output), (program.report, self._take_report)):
            self._selector.register(pipe, selectors.EVENT_READ, take)

    def give_up(self, reason: str) -> None:
        """End the program with this reason, unless there is one already."""
        self._reason = self._reason or reason

    def until_end(self) -> str:
        """Return the reason why the program ended or has to."""
        while self._reason is None:
            for key, _ in self._selector.select(TICK_SECONDS):
                key.data()
            self._check()
        return self._reason

    def take_rest(self) -> None:
        """Take what the pipe still holds; the program is dead."""
        while self._program.output in self._selector.get_map():
            self._take_output()

    def _take_output(self) -> None:
        data = self._read(self._program.output)
        room = self._limits.output_mb * MB - self._printed
        self._printed += len(data)
        if data:
            with self._folder.output.open("ab") as log:
                log.write(data[: max(room, 0)])
        if len(data) > room:
            self.give_up(f"it printed more than {self._limits.output_mb:,} MB")

    def _take_report(self) -> None:
        data = self._read(self._program.report)
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        if not data:
            self.give_up("the process that runs the program was killed or could not start")

    def _hear(self, event: dict[str, Any]) -> None:
        if "started" in event:
            self._folder.write_start(Start(os.getpid(), running=True))
        elif "failed" in event:
            self.give_up(event["failed"])
        else:
            self.give_up(how_it_ended(event["ended"]))

    def _read(self, pipe: int) -> bytes:
        """Return what a pipe has; at its end nothing, and never again."""
        data = os.read(pipe, 65_536)
        if not data:
            self._selector.unregister(pipe)
            os.close(pipe)
        return data

    def _check(self) -> None:
        if self._folder.asked_to_stop():
            self.give_up("stopped")
        now = time.monotonic()
        if now > self._deadline:
            self.give_up(f"it ran longer than {self._order.seconds:,} s")
        if now > self._measure_at:
            self._measure()
            self._measure_at = time.monotonic() + MEASURE_SECONDS

    def _measure(self) -> None:
        limits = self._limits
        used = usage(self._program.processes(), limits.memory_mb * MB)
        if used.memory > limits.memory_mb * MB:
            self.give_up(f"it used more than {limits.memory_mb:,} MB of memory")
        if used.threads > limits.threads:
            self.give_up(f"it had more than {limits.threads:,} processes and threads")
        if self._disk.measure(DISK_SLICE_SECONDS) > limits.disk_mb * MB:
            self.give_up(f"its files took more than {limits.disk_mb:,} MB")
