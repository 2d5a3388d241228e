"""Creating the topics that are missing, and comparing those that exist with what they should be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS, unavailable_errors
from soulcaster.errors import KafkaUnavailable
from soulcaster.wire.topics import Topic


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Topics that were created now, topics that were right before, and a sentence for each way that others differ.

    A difference begins with the topic's name and a colon; what to do about it follows a semicolon.
    """

    created: tuple[str, ...]
    right: tuple[str, ...]
    differences: tuple[str, ...]


async def provision(
    kafka: KafkaAccess, topics: Sequence[Topic], *, partitions: int, replication: int, create: bool = True
) -> Provisioned:
    """Create the missing topics, unless `create` is false, and compare the others; never change one in place.

    Raises:
        KafkaUnavailable: no broker answers, or Kafka refuses to create a topic.
    """
    async with _admin(kafka) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        present = [topic for topic in topics if topic.name in existing]
        differences = []
        if create:
            await _create(admin, missing, partitions, replication)
        else:
            differences += [f"{topic.name}: is missing; `soulcaster topics` makes it" for topic in missing]
        differences += await _partition_differences(admin, present, partitions)
        differences += await _config_differences(admin, present)
    different = {difference.split(":", 1)[0] for difference in differences}
    return Provisioned(
        created=tuple(topic.name for topic in missing) if create else (),
        right=tuple(topic.name for topic in present if topic.name not in different),
        differences=tuple(differences),
    )


async def set_configs(kafka: KafkaAccess, topics: Sequence[Topic]) -> None:
    """Give existing topics their settings, where nobody else has set any: all others go back to the broker's defaults.

    Returns once the broker shows them.

    Raises:
        KafkaUnavailable: no broker answers, or Kafka refuses a setting.
    """
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic.name, dict(topic.config())) for topic in topics]
    async with _admin(kafka) as admin:
        answers = await admin.alter_configs(wanted)
        for code, message, _kind, name in (one for answer in answers for one in answer.resources):
            if code:
                raise KafkaUnavailable(f"Kafka would not set up the topic {name}: {message or for_code(code).__name__}")
        async with asyncio.timeout(REQUEST_SECONDS):
            while await _config_differences(admin, topics):  # noqa: ASYNC110  the broker has no event for it
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _admin(kafka: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=int(REQUEST_SECONDS * 1000))
    try:
        async with unavailable_errors(kafka):
            async with asyncio.timeout(REQUEST_SECONDS):
                await client.start()
            yield client
    finally:
        await client.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int, replication: int) -> None:
    """Create topics and return once each can be written to."""
    if not topics:
        return
    new = [
        NewTopic(t.name, num_partitions=partitions, replication_factor=replication, topic_configs=dict(t.config()))
        for t in topics
    ]
    response = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        kind = for_code(code)
        if code and kind is not TopicAlreadyExistsError:
            reason = message[0] if message else kind.__name__
            raise KafkaUnavailable(f"Kafka would not create the topic {name}: {reason}")
    async with asyncio.timeout(REQUEST_SECONDS):
        while not await _have_leaders(admin, [t.name for t in topics]):  # noqa: ASYNC110  the broker has no event for it
            await asyncio.sleep(0.1)


async def _have_leaders(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> bool:
    """Tell whether every partition has its leader; a message that is sent earlier waits for one."""
    found = await admin.describe_topics(list(topics))
    partitions = [p for topic in found for p in topic["partitions"]]
    return (
        bool(partitions)
        and all(not topic["error_code"] for topic in found)
        and all(p["leader"] >= 0 and not p["error_code"] for p in partitions)
    )


async def _partition_differences(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int) -> list[str]:
    if not topics:
        return []
    differences = []
    for found in await admin.describe_topics([topic.name for topic in topics]):
        count = len(found["partitions"])
        if count != partitions:
            differences.append(
                f"{found['topic']}: has {count} partitions, the setting says {partitions}; a partition count is never "
                f"changed in place: set SOULCASTER_PARTITIONS={count}, or move to a fresh cluster"
            )
    return differences


async def _config_differences(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[str]:
    if not topics:
        return []
    differences = []
    wanted = {topic.name: topic.config() for topic in topics}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]):
        for _code, _message, _kind, name, entries in response.resources:
            actual = {entry[0]: entry[1] for entry in entries}
            differences += [
                f"{name}: {key} is {actual.get(key)}, should be {value}; set it with kafka-configs, or delete the topic"
                for key, value in wanted[name].items()
                if actual.get(key) != value
            ]
    return differences
