"""The topics of an installation, created and compared."""

from soulcaster.adapters.kafka.provisioning import Provisioned, provision
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.wire.topics import all_topics


async def provision_topics(settings: KafkaSettings, *, create: bool = True) -> Provisioned:
    """Create the topics that are missing, unless `create` is false, and compare the others with what they should be.

    Raises:
        BadInput: the settings of Kafka contradict each other, or name a file that cannot be used.
        KafkaUnavailable: no broker answers, or Kafka refuses to create a topic.
    """
    return await provision(
        kafka_access(settings),
        all_topics(settings.app_id),
        partitions=settings.partitions,
        replication=settings.replication,
        create=create,
    )
