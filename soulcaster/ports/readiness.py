"""Systems that can be asked whether they answer."""

from typing import Protocol


class Answering(Protocol):
    """A system that can be asked whether it is there."""

    async def ping(self) -> None:
        """Return when it answers.

        Raises:
            Unavailable: it does not, within its time limit.
        """
