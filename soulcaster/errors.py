"""Every error Soulcaster raises on purpose, under one base.

The docstring of a class is its message where none is given; the command line prints the message and nothing
else, so a message says what happened, where, and what to do about it.
"""

from datetime import datetime


class SoulcasterError(Exception):
    """Soulcaster could not go on."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Unavailable(SoulcasterError):
    """A system Soulcaster depends on does not answer; the same call may succeed later."""


class KafkaUnavailable(Unavailable):
    """Kafka does not answer."""


class RedisUnavailable(Unavailable):
    """Redis does not answer."""


class EmbedderUnavailable(Unavailable):
    """The embedder does not answer."""


class EmbedderRefuses(Unavailable):
    """The embedder answers that it will not, until somebody has done something about its key or its settings."""


class SourceUnavailable(Unavailable):
    """A source of feedback does not answer, or not as it should."""


class SourceLimited(SourceUnavailable):
    """A source of feedback takes no more requests before `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(f"{message}; the next may come at {until.isoformat(timespec='seconds')}.")
        self.until = until


class SourceRefuses(SoulcasterError):
    """A source of feedback answers that it will not, until somebody has done something about it."""


class ApiUnavailable(Unavailable):
    """The HTTP API does not answer."""

    def __init__(self, message: str | None = None, asked: float | None = None) -> None:
        """Make it; `asked` is how many seconds the server wants one to wait, where it says."""
        super().__init__(message)
        self.asked = asked


class ApiRefuses(ApiUnavailable):
    """The HTTP API will not do it, until somebody has done something about the key."""


class InvalidMessage(SoulcasterError):
    """A message is not of the form its topic documents; it belongs in the dead letters."""


class GitHubUnavailable(Unavailable):
    """GitHub does not answer."""


class SignInRefused(SoulcasterError):
    """GitHub did not sign this person in."""


class Conflict(SoulcasterError):
    """The request does not fit the present state."""


class IllegalTransition(Conflict):
    """A job cannot go from its present status to the requested one."""


class LimitReached(SoulcasterError):
    """A limit is reached for now; the same request may succeed later."""


class NotFound(SoulcasterError):
    """There is nothing of that id here."""


class TopicsDiffer(SoulcasterError):
    """A topic exists with other settings than the program needs."""


class StackError(SoulcasterError):
    """The local stack could not be started, or a part of it died."""


class BadInput(SoulcasterError):
    """A file or an argument cannot be used as it is."""
