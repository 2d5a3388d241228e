"""Where partitions begin and end, and how far a consumer group has read; read from outside the group."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.careful import CarefulConsumer, pass_over
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS, unavailable_errors
from soulcaster.ports.topic_copy import Span


class KafkaOffsets:
    """Reads offsets; `offsets_of` makes it. Its methods raise KafkaUnavailable when no broker answers in time."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: CarefulConsumer, timeout: float) -> None:
        self._timeout = timeout
        self._admin = admin
        self._consumer = consumer

    async def topics(self) -> set[str]:
        """Return the names of all topics but Kafka's own."""
        names: list[str] = await self._admin.list_topics()
        return {name for name in names if not name.startswith("__")}

    async def spans(self, topics: Collection[str]) -> dict[TopicPartition, Span]:
        """Return where each partition of the topics begins and ends; a topic that does not exist has no partitions.

        For readers, a partition ends where the first open transaction begins.
        """
        if not topics:
            return {}
        found = await self._admin.describe_topics(list(topics))
        return await self.spans_of([TopicPartition(t["topic"], p["partition"]) for t in found for p in t["partitions"]])

    async def spans_of(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Span]:
        """Return where each of these partitions begins and ends."""
        if not partitions:
            return {}
        firsts, ends = await asyncio.gather(
            self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        )
        return {tp: Span(firsts[tp], ends[tp]) for tp in partitions}

    async def log_ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where partitions end, with what open transactions have written."""
        return await self._consumer.log_ends(partitions) if partitions else {}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return a group's committed offsets: the next one it reads of each partition that it has committed."""
        offsets = await self._ask_coordinator(lambda: self._admin.list_consumer_group_offsets(group))
        return {tp: offset.offset for tp, offset in offsets.items()}

    async def members(self, group: str) -> int:
        """Return how many consumers are in a group."""
        # One group a request: aiokafka reads the response as one of an older version, right for the first group only.
        [response] = await self._ask_coordinator(lambda: self._admin.describe_consumer_groups([group]))
        _error, _name, _state, _kind, _protocol, members, *_rest = response.groups[0]
        return len(members)

    async def _ask_coordinator(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask again until the groups' coordinator is there: on a new Kafka the first request creates it."""
        async with asyncio.timeout(self._timeout):
            while True:
                try:
                    return await ask()
                except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def offsets_of(kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> AsyncIterator[KafkaOffsets]:  # noqa: ASYNC109
    """Give a reader of offsets; `timeout` is in seconds, for one request.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    admin = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=int(timeout * 1000))
    consumer = CarefulConsumer(**kafka.options(), set_aside=pass_over, request_timeout_ms=int(timeout * 1000))
    try:
        async with unavailable_errors(kafka):
            async with asyncio.timeout(timeout):
                await admin.start()
                await consumer.start()
            yield KafkaOffsets(admin, consumer, timeout)
    finally:
        await consumer.stop()
        await admin.close()
