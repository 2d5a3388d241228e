"""Outcomes of commands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from soulcaster.domain.events import CommandOutcome


@dataclass(frozen=True, slots=True)
class CommandView:
    """The outcome of a command, and when it was decided."""

    id: str
    outcome: CommandOutcome
    reason: str
    at: datetime


class CommandReader(Protocol):
    """Reads the outcomes of commands.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def get(self, project_id: str, command_id: str) -> CommandView | None:
        """Return the outcome of a command; None before there is one, and again a month later."""
