"""Messages to and from Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it was read from a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    trace: bytes | None = None
    """In which span it was published (`telemetry.spans.TRACE_HEADER`), where somebody traces."""

    @property
    def position(self) -> str:
        """Return topic, partition and offset, as "feedback.raw[3]@17"."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send; its key determines its partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send messages, those of one topic and key in their order, and return when the brokers have acknowledged all.

        Raises:
            KafkaUnavailable: at least one was not acknowledged in time; others may have been, so send all again.
            InvalidMessage: one is larger than its topic accepts.
        """


class KeyedPublisher(Publisher, Protocol):
    """A publisher that knows the partition of a key."""

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return the partition of each key on a topic; messages within one partition stay in order.

        Raises:
            KafkaUnavailable: Kafka does not answer.
        """
