"""Messages to and from Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it came from a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent; its key chooses the partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all, in order a topic and key, and return when the brokers have acknowledged every one.

        Raises:
            KafkaUnavailable: at least one was not acknowledged in time; some may have been, so send all again.
            InvalidMessage: one is larger than its topic takes.
        """


class KeyedPublisher(Publisher, Protocol):
    """A publisher that can tell where a key leads."""

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return the partition of each key: what is sent to a topic with keys of one partition stays in order there.

        Raises:
            KafkaUnavailable: it cannot be told, for Kafka does not answer.
        """
