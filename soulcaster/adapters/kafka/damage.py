"""Records that the broker cannot give any more, because its disk has damaged them; found from outside every group.

A consumer cannot tell where they end: it gets an error without a number, or nothing. So batches are fetched here one by
one, as they lie on the disk.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    LeaderNotAvailableError,
    NoError,
    OffsetOutOfRangeError,
    UnknownError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors

_UNREADABLE = (CorruptRecordException, UnknownError)
"""What the broker answers when it cannot make sense of what is on its disk."""

_ONE_BATCH = 1
"""So many bytes at most; the broker gives the first batch whole all the same."""


class BatchReader:
    """Fetches batches; `batch_reader` makes it. Its methods raise KafkaUnavailable when a broker does not answer."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def damaged_until(self, tp: TopicPartition, at: int, end: int) -> int:
        """Return the first offset, from `at` to `end`, that can be read: `at` itself if nothing is damaged there."""
        while at < end and (beyond := await self._beyond_damage(tp, at)) is not None:
            at = min(beyond, end)
        return at

    async def _beyond_damage(self, tp: TopicPartition, at: int) -> int | None:
        """Return where to look on, None if the batch at an offset is whole."""
        error, batches = await self._fetch(tp, at)
        if issubclass(error, _UNREADABLE):
            return at + 1
        if error is OffsetOutOfRangeError:
            return None
        if error is not NoError:
            raise error
        if not batches.has_next():
            return at + 1
        batch = batches.next_batch()
        if batch.validate_crc():
            return None
        return max(int(batch.next_offset), at + 1)

    async def _fetch(self, tp: TopicPartition, at: int) -> tuple[type[Exception], MemoryRecords]:
        await self._client.add_topic(tp.topic)
        leader = self._client.cluster.leader_for_partition(tp)
        if leader is None or leader == -1:
            raise LeaderNotAvailableError
        wanted = [(tp.topic, [(tp.partition, at, _ONE_BATCH)])]
        answer = await self._client.send(leader, FetchRequest(FETCH_WAIT_MS, 1, _ONE_BATCH, 0, wanted))
        [(_topic, [(_partition, code, _highwater, *_rest, batches)])] = answer.topics
        return for_code(code), MemoryRecords(batches or b"")


@asynccontextmanager
async def batch_reader(kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> AsyncIterator[BatchReader]:  # noqa: ASYNC109
    """Give a reader of batches; `timeout` is in seconds, for one request.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    client = AIOKafkaClient(**kafka.options(), request_timeout_ms=int(timeout * 1000))
    try:
        async with unavailable_errors(kafka):
            async with asyncio.timeout(timeout):
                await client.bootstrap()
            yield BatchReader(client)
    finally:
        await client.close()
