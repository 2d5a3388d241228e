"""Processes that a bench measures, on its own stack, and waiting for what they do."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import aiohttp
import psutil

from soulcaster.errors import SoulcasterError
from soulcaster.isolation.control_group import ControlGroup
from soulcaster.processes.base_settings import environment_with, variables_of
from soulcaster.processes.settings import Settings
from soulcaster.processes.system_settings import KafkaSettings, RedisSettings
from soulcaster.services.waiting import until

WAIT_SECONDS = 600.0
POLL_SECONDS = 0.05


def _process(module: str, function: str) -> list[str]:
    """Return the arguments of a Python that runs a function of a process with the settings of its environment."""
    program = (
        f"from soulcaster.processes.{module} import {function}\n"
        "from soulcaster.processes.settings import Settings\n"
        f"{function}(Settings())\n"
    )
    return ["-c", program]


WORKER = _process("worker", "run_worker")
WEB = _process("web", "run_web")
LAUNCHER = _process("launcher", "run_launcher")

CHEAP = {"SOULCASTER_EMBEDDER": "static"}
"""What is measured is the stream: embedding costs little then."""


async def wait_until(done: Callable[[], Awaitable[bool]], poll_seconds: float = POLL_SECONDS) -> None:
    """Return once `done` is true.

    Raises:
        TimeoutError: it is not true within `WAIT_SECONDS`.
    """
    if not await until(done, bool, seconds=WAIT_SECONDS, poll_seconds=poll_seconds):
        raise TimeoutError(f"what the bench measures was not done in {WAIT_SECONDS:.0f} s")


async def wait_until_answered(http: aiohttp.ClientSession, method: str, path: str, status: int, **request: Any) -> None:
    """Send a request, again and again, until the web server, which may still be starting, answers with this status.

    Raises:
        TimeoutError: it does not within `WAIT_SECONDS`.
    """

    async def answered() -> bool:
        try:
            async with http.request(method, path, **request) as got:
                return got.status == status
        except aiohttp.ClientConnectionError:
            return False

    await wait_until(answered)


def stack_variables(settings: Settings) -> dict[str, str]:
    """Return the variables that say where a stack is, and what it is like."""
    fields = KafkaSettings.model_fields | RedisSettings.model_fields
    return {variables_of(name, field)[0]: str(getattr(settings, name)) for name, field in fields.items()}


class Program:
    """A Python process with the stack's addresses in its environment; its log is thrown away."""

    def __init__(self, arguments: Sequence[str], settings: Settings, **variables: str) -> None:
        """Start nothing yet; `async with` starts it, and ends it. `variables` are added to its environment."""
        self._command = [sys.executable, *arguments]
        self._group: ControlGroup | None = None
        self._environment = environment_with({**stack_variables(settings), **CHEAP, **variables})
        self._process: asyncio.subprocess.Process | None = None

    def within(self, group: ControlGroup | None) -> Self:
        """Have it run in a control group, which is removed with it; None changes nothing."""
        self._group = group
        return self

    @property
    def process_id(self) -> int:
        """The id of the process that was started."""
        assert self._process is not None, "asked for while it runs"  # noqa: S101
        return self._process.pid

    async def __aenter__(self) -> "Program":
        command = self._command if self._group is None else self._group.entering(self._command)
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            await self._process.wait()
        if self._group is not None:
            await until(self._removed, bool, seconds=WAIT_SECONDS, poll_seconds=POLL_SECONDS)

    async def _removed(self) -> bool:
        """Return whether the group is removed, which it is once the last process that was started has ended."""
        assert self._group is not None, "asked for with a group only"  # noqa: S101
        try:
            self._group.remove()
        except OSError:
            return False
        return True

    def check_runs(self) -> None:
        """Do nothing while the process runs.

        Raises:
            SoulcasterError: it has ended.
        """
        if self._process is not None and self._process.returncode is not None:
            raise SoulcasterError(f"the process that the bench measures ended with {self._process.returncode}")

    def cpu_seconds(self) -> float:
        """Return the CPU time so far of the process and those that it has started, while they run."""
        if self._process is None:
            return 0.0
        process = psutil.Process(self._process.pid)
        times = (one.cpu_times() for one in (process, *process.children(recursive=True)))
        return float(sum(one.user + one.system for one in times))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process is not None:
            self._process.send_signal(number)
