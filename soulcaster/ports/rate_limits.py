"""Rate limits."""

from typing import Literal, Protocol

Sent = Literal["bytes", "items"]
"""What of a project's feedback and other bodies is counted: their bytes, decompressed, and the items of feedback."""


class RateLimits(Protocol):
    """Limits the requests of an API key and of its project, what it is sent, and other things by their name."""

    async def ping(self) -> None:
        """Return when the store answers, and takes writes.

        Raises:
            Unavailable: it does not.
        """

    async def take(self, key_id: str, project_id: str) -> float:
        """Count a request, and return 0 when it is within the limits, else how many seconds to wait before the next.

        Raises:
            Unavailable: the store does not answer.
        """

    async def take_sent(self, what: Sent, project_id: str, scope: str, amount: int) -> float:
        """Count bytes or items sent to a project with a scope, each scope apart; return as `take` does.

        Raises:
            Unavailable: the store does not answer.
        """

    async def take_of(self, name: str, *, most: int, seconds: int) -> float:
        """Count one of what `name` may have, at most so many in so many seconds; return as `take` does.

        Raises:
            Unavailable: the store does not answer.
        """
