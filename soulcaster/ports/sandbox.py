"""The sandbox inside of a job: it runs commands of strangers, of a repository or of a coding agent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from soulcaster.errors import SoulcasterError

Network = Literal["none", "registries", "model"]
"""Nothing at all; package registries and what the project allows, through our proxy; the model, through ours."""

Limit = Literal["time", "idle", "output", "disk", "memory", "processes"]
"""A limit of a command that can end it: one of `SandboxLimits`."""

WORK = "/work"
"""Where a command sees the tree that it works on, and where it starts."""

HOME = "/home/job"
"""Where a command sees the home of its tree; HOME says it, too."""

MODEL_URL = "http://127.0.0.1:8790"
"""Where a command reaches the model with network "model", without a path: /v1/chat/completions and /v1/responses of
OpenAI's API, /v1/messages of Anthropic's, /v1beta/models/... of Gemini's."""

MODEL_KEY = "sk-no-key-of-any-model"
"""The key to use there. It is none: our proxy puts the real one in its place."""


class NoSandbox(SoulcasterError):
    """Commands cannot be isolated here."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one command with everything that it starts. `idle_seconds` is how long it may print nothing."""

    seconds: float
    idle_seconds: float | None = None
    memory_bytes: int = 4 * 2**30
    disk_bytes: int = 8 * 2**30
    output_bytes: int = 20 * 2**20
    processes: int = 512


@dataclass(frozen=True, slots=True)
class Tree:
    """What a command may write to, both folders of this machine: `work` is seen as /work, `home` as its home.

    Files that tools install outside of the tree (a virtual environment, caches) are in the home.
    """

    work: Path
    home: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `code` is its exit code, None where a limit or a signal ended it, which `why` says.

    `tail` is the end of what it printed, at most 16 KiB. `blocked` are hosts that it tried to reach and could not.
    `limit` is the limit that ended it, None where none did.
    """

    code: int | None
    why: str
    tail: str
    seconds: float
    blocked: tuple[str, ...] = ()
    limit: Limit | None = None


class Sandbox(Protocol):
    """Runs commands. When `run` returns, or is cancelled, nothing of the command runs any more."""

    async def run(
        self,
        command: Sequence[str],
        tree: Tree,
        limits: SandboxLimits,
        *,
        network: Network = "none",
        environment: Mapping[str, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        """Run a command in the tree, with stdin from /dev/null and no variables but our own and `environment`.

        `read_only` are further files or folders of this machine, by where the command sees them. `on_line` gets each
        line of its output (stdout and stderr), without control characters, cut at 16 KiB.

        Raises:
            NoSandbox: commands cannot be isolated here.
        """
