"""The topics of an installation, created and compared."""

from soulcaster.adapters.kafka.provisioning import Provisioned, provision
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.wire.topics import all_topics


async def provision_topics(settings: KafkaSettings, *, create: bool = True) -> Provisioned:
    """Create the topics that are missing, unless `create` is false, and compare the others with what they should be.

    Raises:
        KafkaUnavailable: no broker answers, or Kafka refuses to create a topic.
    """
    return await provision(
        settings.kafka,
        all_topics(settings.app_id),
        partitions=settings.partitions,
        replication=settings.replication,
        create=create,
    )
