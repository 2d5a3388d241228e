"""When records were written to Kafka, by their offsets."""

import asyncio
from collections.abc import Mapping

from aiokafka import TopicPartition

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer


async def record_times(
    kafka: KafkaAccess,
    offsets: Mapping[TopicPartition, int],
    *,
    timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109
) -> dict[TopicPartition, float]:
    """Return the time, in seconds of Unix time, of the first record at or after an offset of each partition.

    A partition that has no such record is left out. Records are read whole, so this is not for every few seconds.

    Raises:
        KafkaUnavailable: no broker answers, or not in time.
    """
    found: dict[TopicPartition, float] = {}
    async with standalone_consumer(kafka, timeout=timeout) as consumer, asyncio.timeout(timeout):
        consumer.assign(list(offsets))
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        ends = await consumer.end_offsets(list(offsets))
        while left := [tp for tp in offsets if tp not in found and await consumer.position(tp) < ends[tp]]:
            for tp, records in (await consumer.getmany(*left, timeout_ms=FETCH_WAIT_MS, max_records=1)).items():
                found[tp] = records[0].timestamp / 1000
                consumer.pause(tp)
    return found
