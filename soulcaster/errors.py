"""Every error that Soulcaster raises on purpose, under one base.

The docstring of a class is its message when the call gives none. The command line prints the message and nothing else,
so it says what happened, where, and what to do about it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar


class SoulcasterError(Exception):
    """Soulcaster could not continue."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


# ---- a system is unavailable: retrying may help --------------------------------------------------------------------


class Unavailable(SoulcasterError):
    """A system that Soulcaster depends on does not answer; try again later."""

    system: ClassVar[str] = "other"
    """Which one, in metrics."""


class KafkaUnavailable(Unavailable):
    """Kafka does not answer."""

    system = "kafka"


class KafkaRefuses(KafkaUnavailable):
    """Kafka does not trust us, or we do not trust it; check the settings of Kafka, its users and the certificates."""


class RedisUnavailable(Unavailable):
    """Redis does not answer."""

    system = "redis"


class RedisRefuses(RedisUnavailable):
    """Redis does not trust us, or we do not trust it; check its URL, its users and the certificates."""


class RedisFull(RedisUnavailable):
    """Redis takes no writes: its memory is full, or its disk fails."""


class GitHubUnavailable(Unavailable):
    """GitHub does not answer."""

    system = "github"


class ArchiveUnavailable(Unavailable):
    """The archive does not answer."""

    system = "archive"


class NotShownYet(Unavailable):
    """Kafka has this, and the read model does not show it yet; try again."""

    system = "read_model"


class WorkerUnavailable(Unavailable):
    """No worker has answered in time: none has the project now, or the one that has it is busy; try again."""

    system = "worker"


class WriteLeaseTaken(Unavailable):
    """Another process writes the read model of these partitions now; try again."""

    system = "read_model"


class WriteLeaseLost(SoulcasterError):
    """The lease of a partition ran out while its projects were written; what was begun has to be done again."""


class EmbedderUnavailable(Unavailable):
    """The embedder does not answer."""

    system = "embedder"


class EmbedderRefuses(Unavailable):
    """The embedder refuses to embed texts; check its API key and its settings."""

    system = "embedder"


class PlannerUnavailable(Unavailable):
    """The model that writes plans does not answer."""

    system = "planner"


class SourceUnavailable(Unavailable):
    """A source of feedback does not answer, or not as it should."""

    system = "source"


class SourceLimited(SourceUnavailable):
    """A source of feedback accepts no more requests before `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(f"{message}; the next may come at {until.isoformat(timespec='seconds')}.")
        self.until = until


class ApiUnavailable(Unavailable):
    """The HTTP API does not answer."""

    system = "api"

    def __init__(self, message: str | None = None, retry_after: float | None = None) -> None:
        """`retry_after` is how many seconds the server asks to wait, None when it does not say."""
        super().__init__(message)
        self.retry_after = retry_after


class ApiRefuses(ApiUnavailable):
    """The HTTP API refuses the request; check the API key."""


class EcsUnavailable(Unavailable):
    """Amazon ECS does not answer."""

    system = "ecs"


class EcsRefuses(EcsUnavailable):
    """Amazon ECS refuses the request; check its settings and the AWS credentials."""

    def __init__(self, message: str | None = None, *, code: str = "", tasks: Sequence[str] = ()) -> None:
        """`code` is the vendor's name of the error; `tasks` are the ARNs that it gives as a reason."""
        super().__init__(message)
        self.code = code
        self.tasks = tasks


# ---- a person has to act -------------------------------------------------------------------------------------------


class BadInput(SoulcasterError):
    """A file, an argument or a setting cannot be used."""


class SourceRefuses(SoulcasterError):
    """A source of feedback refuses the request; check its settings and the token."""


class BranchMoved(SourceRefuses):
    """A branch changed between looking at it and pushing to it."""


class FixRefused(SoulcasterError):
    """What a coding agent made may not be published."""


class NoPatch(SoulcasterError):
    """No patch can be taken from what a coding agent left behind, or it does not apply."""


class NoScan(SoulcasterError):
    """A change could not be scanned for secrets."""


class GitFailed(SoulcasterError):
    """A git command failed."""

    def __init__(self, said: str) -> None:
        """`said` is the end of what git printed about it."""
        super().__init__(f"git failed: {said.strip()}")
        self.said = said


class PlannerRefuses(SoulcasterError):
    """The model that writes plans refuses the request, or writes no plan."""


class AgentUnusable(SoulcasterError):
    """The coding agent cannot run here."""


class SandboxRefused(SoulcasterError):
    """The vendor of sandboxes refuses a request, which changed nothing; check its key, the template and the limits."""


class SignInRefused(SoulcasterError):
    """GitHub did not sign this person in."""


class TopicsDiffer(SoulcasterError):
    """A topic exists with other settings than Soulcaster needs."""


class StackError(SoulcasterError):
    """The local stack could not be started, or a part of it stopped."""


# ---- a request or a message cannot be processed as it is -----------------------------------------------------------


class InvalidMessage(SoulcasterError):
    """A message does not have the form that its topic documents."""


class NotFound(SoulcasterError):
    """Nothing here has that id."""


class TreeUnusable(SoulcasterError):
    """A tree of files could not be copied or removed."""


class SandboxGone(SoulcasterError):
    """This sandbox does not run any more: it was removed or paused, or it reached its time to live."""


class Conflict(SoulcasterError):
    """The request does not fit the present state."""


class IllegalTransition(Conflict):
    """A job cannot go from its present status to the requested one."""


class LimitReached(SoulcasterError):
    """A limit is reached for now; try again later."""


class QuotaExceeded(LimitReached):
    """A project has as many jobs, or has spent or stored as much, as it may; `current` of `limit` is used."""

    def __init__(self, message: str, current: float, limit: float) -> None:
        super().__init__(f"{message}; the limit is {limit:g}.")
        self.current = current
        self.limit = limit


class Fenced(Conflict):
    """A newer launch of the job has begun, or the job has ended: this report changes nothing, its program must end."""
