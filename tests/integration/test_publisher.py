"""The publisher on a real Kafka that refuses what its producer sends."""

import gc
from typing import Any

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


async def test_a_producer_whose_sender_has_ended_is_replaced(stack: Stack) -> None:
    await stack.provision()
    message = Outgoing(CONTROL.name, b"somebody", b"not a message")
    async with KafkaPublisher(kafka_access(stack.settings)) as publisher:
        await publisher.publish([message])
        producer = publisher._producer
        assert producer is not None

        def unexpected(*_: Any, **__: Any) -> None:
            raise RuntimeError("nobody expects this")

        producer._message_accumulator.drain_by_nodes = unexpected
        with pytest.raises(KafkaUnavailable, match="Unexpected error"):
            await publisher.publish([message])
        await publisher.publish([message])
    del producer
    gc.collect()  # asyncio logs an error that aiokafka kept; Python 3.11 breaks if that comes amid `ast.parse`
