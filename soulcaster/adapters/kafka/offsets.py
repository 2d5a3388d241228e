"""Where topics begin and end, and how far a consumer group is: for who looks on, without taking part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from soulcaster.errors import KafkaUnavailable

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Span:
    """A partition's first offset and the one its next message will get."""

    first: int
    end: int


class KafkaOffsets:
    """Reads offsets; made by `offsets_of`. Its methods raise KafkaUnavailable when no broker answers in time."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, timeout: float) -> None:
        self._timeout = timeout
        self._admin = admin
        self._consumer = consumer

    async def topics(self) -> set[str]:
        """Return the names of all topics, Kafka's own left out."""
        with_own: list[str] = await self._admin.list_topics()
        return {name for name in with_own if not name.startswith("__")}

    async def spans(self, topics: Collection[str]) -> dict[TopicPartition, Span]:
        """Return where each partition of the topics begins and ends; a topic that is not there has none."""
        if not topics:
            return {}
        found = await self._admin.describe_topics(list(topics))
        partitions = [TopicPartition(t["topic"], p["partition"]) for t in found for p in t["partitions"]]
        firsts, ends = await asyncio.gather(
            self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        )
        return {tp: Span(firsts[tp], ends[tp]) for tp in partitions}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return the offset a group will go on from, for each partition it has committed one of."""
        offsets = await self._coordinated(lambda: self._admin.list_consumer_group_offsets(group))
        return {tp: offset.offset for tp, offset in offsets.items()}

    async def members(self, group: str) -> int:
        """Return how many consumers are in a group."""
        # One group a request: aiokafka reads the answer as one of an older version, right for the first group only.
        [answer] = await self._coordinated(lambda: self._admin.describe_consumer_groups([group]))
        _error, _name, _state, _kind, _protocol, members, *_rest = answer.groups[0]
        return len(members)

    async def _coordinated(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask again while the groups' coordinator is being found: on a new Kafka the first question creates it."""
        async with asyncio.timeout(self._timeout):
            while True:
                try:
                    return await ask()
                except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def offsets_of(servers: str, *, timeout: float = TIMEOUT_SECONDS) -> AsyncIterator[KafkaOffsets]:  # noqa: ASYNC109
    """Give a reader of offsets; `timeout` is in seconds, for one request.

    Raises:
        KafkaUnavailable: no broker answers, now or at any call.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=int(timeout * 1000))
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, request_timeout_ms=int(timeout * 1000))
    try:
        async with asyncio.timeout(timeout):
            await admin.start()
            await consumer.start()
        yield KafkaOffsets(admin, consumer, timeout)
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {servers} does not answer ({error!r})") from error
    finally:
        await consumer.stop()
        await admin.close()
