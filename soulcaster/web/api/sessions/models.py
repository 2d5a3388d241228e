"""The responses about sessions."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from soulcaster.domain.sessions import Session


class SessionOut(BaseModel):
    """A session: where a user is signed in, as their browser says it; `ends_at` is when it ends if it is not used."""

    id: str
    user_id: str
    browser: str
    started_at: datetime
    seen_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, session: Session) -> "SessionOut":
        """Return a session as it is stored."""
        return cls(
            id=session.id,
            user_id=session.user_id,
            browser=session.browser,
            started_at=session.started_at,
            seen_at=session.seen_at,
            ends_at=session.ends_at(),
        )


class SessionsEndedOut(BaseModel):
    """200: these sessions have ended; their cookies are refused from now on."""

    status: Literal["ok"] = "ok"
    user_id: str
    ended: int
