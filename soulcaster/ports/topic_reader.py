"""Part of a topic, read from outside every consumer group."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from soulcaster.ports.messaging import Record


class TopicReader(Protocol):
    """Reads partitions; it commits nothing and remembers nothing."""

    def since(self, topic: str, partition: int, since_ms: int) -> AsyncGenerator[Sequence[Record], None]:
        """Yield a partition's records, in order and in batches, up to what Kafka had acknowledged at the call.

        It begins at the first record whose time is at least `since_ms`, in milliseconds since 1970.

        Raises:
            KafkaUnavailable: Kafka does not answer in time.
        """
