"""API keys: creating and revoking them. Both are messages on `control`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import uuid4

from soulcaster.domain.api_keys import MOST_KEYS, ApiKey, KeyScope, hash_of, new_secret
from soulcaster.errors import Conflict, NotFound
from soulcaster.ports.api_keys import ApiKeyReader
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.services.control import control_record
from soulcaster.wire.control import KeyDefined


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A new API key, and its secret, which is stored nowhere."""

    key: ApiKey
    secret: str


class ApiKeys:
    """Creates and revokes API keys; a change takes effect as soon as the read model has it."""

    def __init__(self, publisher: Publisher, stored: ApiKeyReader, clock: Clock) -> None:
        self._publisher = publisher
        self._stored = stored
        self._clock = clock

    async def create(
        self,
        project_id: str,
        *,
        name: str,
        scopes: Sequence[KeyScope],
        by: str,
        expires_at: datetime | None = None,
    ) -> NewApiKey:
        """Publish a new API key of a project.

        Raises:
            Conflict: the project has as many as it may have.
            Unavailable: Kafka does not acknowledge it, or Redis does not answer.
        """
        secret = new_secret()
        now = self._clock()
        if sum(view.key.stands(now) for view in await self._stored.list(project_id)) >= MOST_KEYS:
            raise Conflict(f"A project may have {MOST_KEYS} API keys; revoke one that is not used any more.")
        key = ApiKey(
            str(uuid4()),
            project_id,
            name,
            hash_of(secret),
            tuple(dict.fromkeys(scopes)),
            now,
            by,
            expires_at,
            knows_poll=True,
        )
        await self._publish(key)
        return NewApiKey(key, secret)

    async def revoke(self, project_id: str, key_id: str) -> ApiKey:
        """Publish that an API key is revoked, and return it; one that was revoked before stays as it is.

        Raises:
            NotFound: the project has no such key.
            Unavailable: Kafka or Redis does not answer.
        """
        known = next((view.key for view in await self._stored.list(project_id) if view.key.id == key_id), None)
        if known is None:
            raise NotFound("There is no key of that id in this project")
        if known.revoked_at is not None:
            return known
        revoked = replace(known, revoked_at=self._clock())
        await self._publish(revoked)
        return revoked

    async def _publish(self, key: ApiKey) -> None:
        await self._publisher.publish([control_record(KeyDefined(**asdict(key)))])
