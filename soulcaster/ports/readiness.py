"""Readiness of other systems."""

from typing import Protocol


class Answering(Protocol):
    """A system that answers a ping when it is ready."""

    async def ping(self) -> None:
        """Return when it answers.

        Raises:
            Unavailable: it does not answer within its time limit.
        """
