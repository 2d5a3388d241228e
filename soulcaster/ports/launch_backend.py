"""Backends that run the program of a job: what they start, what they see of it, how they stop it.

A launcher may be killed at any point and started again, so a backend keeps nothing that it cannot find again by the
launch's key: the vendor, or a folder, is its memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from soulcaster.errors import SoulcasterError

TaskState = Literal["starting", "running", "ended", "gone"]
"""What a backend sees: not yet running, running, ended by itself or by somebody, or nothing of that key."""


class LaunchRefused(SoulcasterError):
    """The backend refuses to start this job, and nothing of it runs; another launch may succeed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of a job's program.

    `number` counts the launches of the job from 1: a retry is a new launch. `token` authorises the program to report
    on the job; it is a secret. `api_url` is the address of the HTTP API as the program reaches it. `seconds` is how
    long the program may run; the backend ends it then.

    The same job and number always come with the same values, so that a backend may compare them.
    """

    job_id: str
    number: int
    token: str = field(repr=False)
    api_url: str
    seconds: int

    @property
    def key(self) -> str:
        """Return what identifies this launch at the backend: at most 64 printable ASCII characters."""
        return f"{self.job_id}-{self.number}"

    def environment(self) -> Mapping[str, str]:
        """Return the variables that the program gets, and all it gets: who it is and where to report."""
        return {"JOB_ID": self.job_id, "BACKEND_URL": self.api_url, "JOB_TOKEN": self.token}


@dataclass(frozen=True, slots=True)
class Task:
    """What a backend sees of a launch.

    `id` is the vendor's name of it: a task ARN, a sandbox, a process. `reason` says, for people, why it ended (exit
    code, the vendor's words), and `output` is the end of what it printed, where the backend can tell.
    """

    id: str
    state: TaskState
    reason: str = ""
    output: str = ""


class LaunchBackend(Protocol):
    """A system that runs the programs of jobs. Every method may be called again, by another process too."""

    @property
    def name(self) -> str:
        """Its name in settings, in jobs and on pages."""

    async def launch(self, launch: Launch) -> Task:
        """Start the program, once for each key, and return as soon as the backend has accepted it.

        A second call with the same key, in this process or in another one, starts nothing and returns what the first
        started, even when the answer to the first was lost and even when its program has ended since.

        Raises:
            LaunchRefused: the backend will not start it: no capacity, wrong settings. Nothing of this key runs.
            Unavailable: the backend does not answer. Whether the program runs is unknown: call again.
        """

    async def observe(self, launch: Launch) -> Task:
        """Return what the backend sees of a launch now; its state is "gone" where it knows nothing of this key.

        Raises:
            Unavailable: the backend does not answer; the same call may succeed later.
        """

    async def stop(self, launch: Launch) -> None:
        """Stop a launch wherever it runs, whoever started it; within five seconds nothing of it runs.

        Does nothing where nothing runs. Afterwards a `launch` of the same key starts nothing where the backend can
        remember that.

        Raises:
            Unavailable: the backend does not answer; the same call may succeed later.
        """

    async def close(self) -> None:
        """Close connections; what was launched goes on."""
