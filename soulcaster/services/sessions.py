"""Sessions: begun at sign-in, and ended by their person, by time, or by an administrator."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from soulcaster.domain.sessions import SEEN_EVERY, Session
from soulcaster.domain.text.normalize import clean, one_line
from soulcaster.ports.clock import Clock
from soulcaster.ports.sessions import SessionStore

BROWSER_CHARS = 200

MOST_SESSIONS = 100
"""Sessions that a user may have at once; all of them are shown on one page."""


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, user_id: str, browser: str) -> Session:
        """Return a new session of a user; beyond `MOST_SESSIONS`, those end that were not used for the longest time.

        Raises:
            Unavailable: Redis does not answer.
        """
        now = self._clock()
        shown = one_line(clean(browser[: 4 * BROWSER_CHARS]), BROWSER_CHARS)
        session = Session(secrets.token_urlsafe(24), user_id, shown, now, now)
        known = await self._store.of_user(user_id)
        await self._store.end(user_id, [one.id for one in known[MOST_SESSIONS - 1 :]])
        await self._store.add(session, session.ends_at() - now)
        return session

    async def find(self, user_id: str, session_id: str) -> Session | None:
        """Return a session that has not ended, else None.

        Raises:
            Unavailable: Redis does not answer.
        """
        session = await self._store.get(user_id, session_id)
        return None if session is None or session.ends_at() <= self._clock() else session

    async def note_use(self, session: Session) -> bool:
        """Note, now and then, that a session is used, and so keep it longer; return whether this was noted now.

        Raises:
            Unavailable: Redis does not answer.
        """
        now = self._clock()
        if now - session.seen_at < SEEN_EVERY:
            return False
        used = replace(session, seen_at=now)
        return await self._store.renew(used, used.ends_at() - now)

    async def of_user(self, user_id: str) -> Sequence[Session]:
        """Return the sessions of a user, the one that was used last first.

        Raises:
            Unavailable: Redis does not answer.
        """
        now = self._clock()
        return [session for session in await self._store.of_user(user_id) if session.ends_at() > now]

    async def end(self, user_id: str, session_id: str) -> bool:
        """End a session of a user; return False where there is none of that id, or it has ended already.

        Raises:
            Unavailable: Redis does not answer.
        """
        known = await self.find(user_id, session_id)
        await self._store.end(user_id, [session_id])
        return known is not None

    async def end_all(self, user_id: str, *, but: str | None = None) -> int:
        """End all sessions of a user, but one where it is named; return how many ended.

        Raises:
            Unavailable: Redis does not answer.
        """
        ended = [session.id for session in await self._store.of_user(user_id) if session.id != but]
        await self._store.end(user_id, ended)
        return len(ended)
