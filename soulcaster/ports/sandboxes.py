"""Sandboxes: rented machines that exist for one launch each, in which a program is started by a shell script.

The vendor keeps the launch's key with each sandbox, so that any process finds the sandboxes of a launch again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as the vendor lists it. In a paused one nothing runs until a person resumes it."""

    id: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What a shell script in a sandbox printed, and its exit code."""

    code: int
    output: str
    errors: str


class Sandboxes(Protocol):
    """A vendor's sandboxes.

    Every method may raise `Unavailable` (no answer: whether the vendor did it is unknown) and `SandboxRefused`.
    """

    async def find(self, key: str) -> list[Sandbox]:
        """Return the sandboxes of a launch, running and paused, the oldest first."""

    async def create(self, key: str, seconds: int) -> Sandbox:
        """Create a sandbox of a launch that lives for so many seconds, and return it.

        Where the vendor recognises repeated requests, a repetition returns what the first request created, even when
        the answer to the first was lost and even when that sandbox is gone.
        """

    async def prolong(self, sandbox: Sandbox, seconds: int) -> None:
        """Let a sandbox live for so many seconds from now.

        Raises:
            SandboxGone: it does not run any more.
        """

    async def run(self, sandbox: Sandbox, script: str, environment: Mapping[str, str]) -> ScriptResult:
        """Run a short bash script in a sandbox, and return when it has ended; what it leaves behind goes on.

        Raises:
            SandboxGone: it does not run any more.
        """

    async def remove(self, sandbox: Sandbox) -> None:
        """Remove a sandbox with everything that runs in it; does nothing when it is gone."""
