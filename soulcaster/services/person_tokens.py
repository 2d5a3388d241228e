"""GitHub tokens of the people who request fixes: kept sealed until the job ends, and never on Kafka."""

from datetime import timedelta

from soulcaster.domain.lifecycle import MAX_LAUNCHES
from soulcaster.ports.person_tokens import PersonTokenStore
from soulcaster.services.webhook_secrets import Seal

LONGEST = timedelta(hours=24)
"""A token is kept no longer; a job that starts later than that goes without it."""


class PersonTokens:
    """Keeps and reads the tokens."""

    def __init__(self, store: PersonTokenStore, seal: Seal) -> None:
        self._store = store
        self._seal = seal

    async def keep(self, job_id: str, token: str, *, launch_seconds: int) -> None:
        """Keep the token of a job for as long as its launches may take, each so many seconds.

        Raises:
            Unavailable: Redis does not answer.
        """
        expires = min(LONGEST, MAX_LAUNCHES * timedelta(seconds=launch_seconds))
        await self._store.keep(job_id, self._seal.close(token), expires)

    async def of(self, job_id: str) -> str | None:
        """Return the token of a job; None where there is none, or it was sealed with another key.

        Raises:
            Unavailable: Redis does not answer.
        """
        sealed = await self._store.get(job_id)
        opened = None if sealed is None else self._seal.open(sealed)
        return None if opened is None else opened.decode()
