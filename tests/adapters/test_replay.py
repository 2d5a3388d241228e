"""A replay ends although its topics are written to all the time."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from soulcaster.adapters.kafka.replay import KafkaReplay
from soulcaster.ports.topic_copy import Span

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


class Busy:
    """A consumer of partitions that get a record by turns: whenever it is asked where they end, one of them."""

    def __init__(self, ends: Mapping[TopicPartition, int]) -> None:
        self._ends = dict(ends)
        self._positions = dict.fromkeys(ends, 0)
        self._asked = 0

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._ends[partitions[self._asked % len(partitions)]] += 1
        self._asked += 1
        return dict(self._ends)

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def getmany(self, *partitions: TopicPartition, **_: Any) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        found = {}
        for tp in partitions:
            offsets = range(self._positions[tp], self._ends[tp])
            found[tp] = [ConsumerRecord(*tp, offset, 0, 0, None, b"", None, 0, 0, ()) for offset in offsets]
            self._positions[tp] = self._ends[tp]
        return found


async def test_each_partition_ends_when_nothing_new_came_to_it() -> None:
    consumer = Busy({FIRST: 3, SECOND: 2})
    replay = KafkaReplay(consumer, {FIRST: Span(0, 3), SECOND: Span(0, 2)})
    read = []
    async for batch in replay.batches(lambda _done, _total: None):
        read += [(record.partition, record.offset) for record in batch]
        assert len(read) < 50, "it never ends"
    assert {(0, offset) for offset in range(3)} | {(1, offset) for offset in range(2)} <= set(read)
    assert len(read) == len(set(read))


async def test_one_number_on_two_topics_ends_together() -> None:
    """A project's records are on partitions of one number: what came to one topic may come before the other's."""
    other = TopicPartition("u", 0)
    consumer = Busy({FIRST: 1, other: 1})
    replay = KafkaReplay(consumer, {FIRST: Span(0, 1), other: Span(0, 1)})
    count = 0
    async for batch in replay.batches(lambda _done, _total: None):
        count += len(batch)
        if count > 20:
            break  # both get records by turns, so their number is never done
    assert count > 20
