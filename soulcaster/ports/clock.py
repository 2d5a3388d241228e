"""The time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Returns the time; an argument, so that tests can set it."""

    def __call__(self) -> datetime:
        """Return the present time, with its time zone."""
