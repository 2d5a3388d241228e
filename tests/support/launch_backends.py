"""What the contract suite of launch backends (`tests/contract/test_launch_backend.py`) needs of each backend.

A harness is the backend and what is behind it: a real process, or a server that speaks the vendor's protocol and counts
what it started. The program that a harness lets the backend run prints `PRINTS` once and goes on until `finish`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol
from uuid import uuid4

from soulcaster.ports.launch_backend import Launch, LaunchBackend

PRINTS = "the program is here"

Lack = Literal["program", "vendor", "output", "memory of stops"]
"""What a backend cannot show; the suite skips what needs it.

program: nothing runs, as in a dry run, so it has no environment and no exit code. vendor: nothing outside of this
process remembers launches, so nothing can be unavailable and no answer can be lost. output: the backend cannot tell
what the program printed. memory of stops: a launch that follows a stop starts the program.
"""


class Harness(Protocol):
    """A backend under test, seen from behind. One harness is one vendor, for one test."""

    lacks: frozenset[Lack]
    base_variables: frozenset[str]
    """Variables that every program has, besides those of `Launch.environment`; docs/launching.md lists them."""

    def backend(self) -> LaunchBackend:
        """Return another instance, as another launcher or one that was started again has it."""

    async def launch_unheard(self, launch: Launch) -> None:
        """Launch so that the program starts and nobody hears of it: the answer is lost, or the caller is killed."""

    def away(self) -> AbstractAsyncContextManager[None]:
        """While it is open, the vendor does not answer."""

    async def started(self, launch: Launch) -> int:
        """Return how many programs were ever started for this launch."""

    async def alive(self, launch: Launch) -> int:
        """Return how many programs run for this launch now."""

    async def environment(self, launch: Launch) -> Mapping[str, str]:
        """Return all variables that the running program has."""

    async def finish(self, launch: Launch, code: int) -> None:
        """Let the program end by itself with this exit code; return at once."""


def make_launch(number: int = 1, *, job_id: str = "", seconds: int = 60) -> Launch:
    """Return a launch as the launcher makes it: of a new job, unless an id is given."""
    job_id = job_id or str(uuid4())
    return Launch(job_id, number, f"token-of-{job_id}-{number}", "http://127.0.0.1:8080", seconds)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Return as soon as `condition` holds; fail when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"this did not happen within {seconds:g} s"
        await asyncio.sleep(0.02)
