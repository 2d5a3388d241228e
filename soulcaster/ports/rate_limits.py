"""Rate limits."""

from typing import Protocol


class RateLimits(Protocol):
    """Limits the requests of an API key and of its project, the bytes it is sent, and other things by their name."""

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

    async def take_bytes(self, project_id: str, scope: str, size: int) -> float:
        """Count bytes sent to a project with a scope, each scope apart; return as `take` does.

        Raises:
            Unavailable: the store does not answer.
        """

    async def take_of(self, name: str, *, most: int, seconds: int) -> float:
        """Count one of what `name` may have, at most so many in so many seconds; return as `take` does.

        Raises:
            Unavailable: the store does not answer.
        """
