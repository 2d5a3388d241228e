"""`soulcaster keys`: API keys from the command line, for who can reach Kafka and Redis anyway."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.domain.api_keys import ApiKey, KeyScope
from soulcaster.ports.api_keys import ApiKeyView
from soulcaster.ports.projects import Project
from soulcaster.processes.settings import Settings
from soulcaster.services.api_keys import make_key, revoke_key
from soulcaster.services.projects import find_or_create_project, known_project
from soulcaster.services.transfer import reading

BY = "command line"


async def create(
    settings: Settings, project: str, name: str, scopes: Sequence[KeyScope], days: int | None
) -> tuple[str, ApiKey, Project]:
    """Return a new key's secret, the key and its project, which is made if there is none of that name.

    Raises:
        BadInput: the project's name is none.
        Unavailable: Kafka or Redis does not answer.
    """
    now = datetime.now(UTC)
    until = None if days is None else now + timedelta(days=days)
    async with reading(settings) as read_model, KafkaPublisher(settings.kafka) as publisher:
        found = await find_or_create_project(publisher, read_model, project, at=now)
        secret, key = await make_key(publisher, found.id, name=name, scopes=scopes, by=BY, at=now, expires_at=until)
    return secret, key, found


async def listed(settings: Settings, project: str) -> tuple[ApiKeyView, ...]:
    """Return a project's keys, newest first.

    Raises:
        NotFound: there is no such project.
        RedisUnavailable: Redis does not answer.
    """
    async with reading(settings) as read_model:
        found = await known_project(read_model, project)
        return await read_model.api_keys.list(found.id)


async def revoke(settings: Settings, project: str, key_id: str) -> ApiKey:
    """Return a key that is good no more.

    Raises:
        NotFound: there is no such project, or it has no such key.
        Unavailable: Kafka or Redis does not answer.
    """
    async with reading(settings) as read_model, KafkaPublisher(settings.kafka) as publisher:
        found = await known_project(read_model, project)
        return await revoke_key(publisher, read_model, found.id, key_id, datetime.now(UTC))
