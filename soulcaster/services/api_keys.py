"""Making and revoking API keys: both end on the topic control. The API and the command line do it in the same way."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from uuid import uuid4

from soulcaster.domain.api_keys import ApiKey, KeyScope, hash_of, new_secret
from soulcaster.errors import NotFound
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.read_model import ReadModel
from soulcaster.wire.control import KeyDefined
from soulcaster.wire.topics import CONTROL


async def make_key(
    publisher: Publisher,
    project_id: str,
    *,
    name: str,
    scopes: Sequence[KeyScope],
    by: str,
    at: datetime,
    expires_at: datetime | None = None,
) -> tuple[str, ApiKey]:
    """Return a new key's secret, which is kept nowhere, and the key; it is good once the worker has seen it.

    Raises:
        Unavailable: Kafka does not answer.
    """
    secret = new_secret()
    key = ApiKey(str(uuid4()), project_id, name, hash_of(secret), tuple(dict.fromkeys(scopes)), at, by, expires_at)
    await _publish(publisher, key)
    return secret, key


async def revoke_key(publisher: Publisher, read_model: ReadModel, project_id: str, key_id: str, at: datetime) -> ApiKey:
    """Return a key that is good no more; one that was revoked before stays as it is.

    Raises:
        NotFound: the project has no such key.
        Unavailable: Kafka or Redis does not answer.
    """
    known = next((view.key for view in await read_model.api_keys.list(project_id) if view.key.id == key_id), None)
    if known is None:
        raise NotFound("There is no key of that id in this project")
    if known.revoked_at is not None:
        return known
    revoked = replace(known, revoked_at=at)
    await _publish(publisher, revoked)
    return revoked


async def _publish(publisher: Publisher, key: ApiKey) -> None:
    message = KeyDefined(**asdict(key))
    await publisher.publish([Outgoing(CONTROL.name, f"key:{key.id}".encode(), message.to_bytes())])
