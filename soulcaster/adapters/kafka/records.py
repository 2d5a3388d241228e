"""aiokafka's records as ours."""

from aiokafka import ConsumerRecord

from soulcaster.ports.messaging import Record


def record_of(message: ConsumerRecord) -> Record:
    """Return aiokafka's record as one of ours, without its headers."""
    return Record(message.topic, message.partition, message.offset, message.timestamp, message.key, message.value)
