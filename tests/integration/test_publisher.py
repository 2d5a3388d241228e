"""The publisher on a real Kafka that refuses what its producer sends."""

import pytest
from aiokafka import TopicPartition

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.dev.stack import Stack
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.messaging import Outgoing
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.wire.topics import CONTROL

pytestmark = pytest.mark.integration


async def test_a_producer_that_has_lost_count_is_replaced(stack: Stack) -> None:
    await stack.provision()
    message = Outgoing(CONTROL.name, b"somebody", b"not a message")
    async with KafkaPublisher(kafka_access(stack.settings)) as publisher:
        [partition] = await publisher.partitions(CONTROL.name, [b"somebody"])
        await publisher.publish([message])
        # A message that aiokafka gives up while its partition has no leader is counted and never sent.
        producer = publisher._producer
        assert producer is not None
        producer._txn_manager.increment_sequence_number(TopicPartition(CONTROL.name, partition), 1)
        with pytest.raises(KafkaUnavailable, match="OutOfOrderSequenceNumber"):
            await publisher.publish([message])
        await publisher.publish([message])
        await publisher.publish([message])
