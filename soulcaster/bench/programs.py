"""Programs that a bench measures: processes on its stack, and the wait for what they do."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

from soulcaster.processes.settings import Settings

WAIT_SECONDS = 600.0


def _run(module: str, what: str) -> list[str]:
    program = (
        f"from soulcaster.processes.{module} import {what}\n"
        "from soulcaster.processes.settings import Settings\n"
        f"{what}(Settings())\n"
    )
    return ["-c", program]


WORKER = _run("worker", "run_worker")
WEB = _run("web", "run_web")


async def until(done: Callable[[], Awaitable[bool]], every: float = 0.05) -> None:
    """Return once it is done, asking every so many seconds.

    Raises:
        TimeoutError: it is not in `WAIT_SECONDS`.
    """
    async with asyncio.timeout(WAIT_SECONDS):
        while not await done():  # noqa: ASYNC110  another process decides, there is no event to wait for
            await asyncio.sleep(every)


class Program:
    """A Python process with the stack's addresses in its environment; what it logs is thrown away."""

    def __init__(self, arguments: Sequence[str], settings: Settings, **more: str) -> None:
        """Prepare; `async with` starts it, and ends it. `more` are further variables."""
        self._arguments = arguments
        self._environment = {
            **os.environ,
            "SOULCASTER_KAFKA": settings.kafka,
            "REDIS_URL": settings.redis_url,
            "SOULCASTER_PARTITIONS": str(settings.partitions),
            **more,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Program":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
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

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)
