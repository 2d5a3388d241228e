"""The topics that tests of one Kafka share."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from soulcaster.processes.settings import Settings
from soulcaster.wire.topics import TOPICS


async def remove_topics(settings: Settings) -> None:
    """Remove the topics with what earlier tests left in them: workers of a new group would read all of it first.

    Records alone cannot be deleted: a group that has committed nothing misses those before the first.
    """
    names = {topic.name for topic in TOPICS}
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await client.start()
    try:
        await client.delete_topics(sorted(names & set(await client.list_topics())))
        async with asyncio.timeout(60):
            while names & set(await client.list_topics()):
                await asyncio.sleep(0.02)
    finally:
        await client.close()
