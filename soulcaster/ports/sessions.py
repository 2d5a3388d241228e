"""The sessions of the people who are signed in."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from soulcaster.domain.sessions import Session


class SessionStore(Protocol):
    """Keeps sessions until they end or expire.

    They are on no topic: who is signed in is nothing that anything else is made from, and a log would keep what should
    be forgotten. Clearing the read model keeps them, so a rebuild signs nobody out. If the store is lost, everybody
    signs in again. Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def add(self, session: Session, expires: timedelta) -> None:
        """Keep a new session for so long."""

    async def renew(self, session: Session, expires: timedelta) -> bool:
        """Keep a session for so long from now; return False, and keep nothing, if it has ended."""

    async def get(self, user_id: str, session_id: str) -> Session | None:
        """Return a session of a user, None if it has ended."""

    async def of_user(self, user_id: str) -> tuple[Session, ...]:
        """Return all sessions of a user, the one that was used last first."""

    async def end(self, user_id: str, session_ids: Collection[str]) -> None:
        """End sessions of a user."""
