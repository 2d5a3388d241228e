"""Rate limits."""

from typing import Protocol


class RateLimits(Protocol):
    """How many requests a key and its project may make."""

    async def take(self, key_id: str, project_id: str) -> float:
        """Count a request; return how many seconds to wait before the next, 0 where there is room for this one.

        Raises:
            Unavailable: the store does not answer.
        """
