"""Sessions of the people who are signed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

IDLE = timedelta(days=7)
"""A session that is not used for so long ends."""

LONGEST = timedelta(days=30)
"""After so long a person signs in again, however often they use the session."""

SEEN_EVERY = timedelta(hours=1)
"""How exactly it is known when a session was last used."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a user; `browser` is what their browser says of itself."""

    id: str
    user_id: str
    browser: str
    started_at: datetime
    seen_at: datetime

    def ends_at(self) -> datetime:
        """Return when it ends if it is not used any more."""
        return min(self.seen_at + IDLE, self.started_at + LONGEST)
