"""GitHub tokens of the people who request fixes, sealed, as long as their jobs may need them."""

from datetime import timedelta
from typing import Protocol


class PersonTokenStore(Protocol):
    """Keeps one sealed token a job. It is on no topic; a token that is lost must be sent again.

    Whoever writes the read model forgets the token of a job that has ended. Every method raises RedisUnavailable (an
    Unavailable) when the store does not answer.
    """

    async def keep(self, job_id: str, sealed: str, expires: timedelta) -> None:
        """Keep the token of a job for so long, in place of another one."""

    async def get(self, job_id: str) -> str | None:
        """Return the token of a job, None where there is none any more."""
