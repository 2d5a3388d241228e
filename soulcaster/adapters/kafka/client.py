"""Kafka by aiokafka: the publisher every process uses, and the provisioning of topics."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.partitioner import DefaultPartitioner

from soulcaster.errors import InvalidMessage, KafkaUnavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.wire.topics import DEAD_LETTERS, Topic

REQUEST_SECONDS = 10.0
"""Time limit of one call; shorter than any drain at shutdown."""

_PARTITIONER = DefaultPartitioner()


class KafkaPublisher:
    """Publisher over one idempotent aiokafka producer; use it as `async with KafkaPublisher(servers)`."""

    def __init__(self, servers: str, *, timeout: float = REQUEST_SECONDS) -> None:
        """Prepare; nothing is connected before `start`. `timeout` is in seconds, for one `publish`."""
        self._servers = servers
        self._timeout = timeout
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaUnavailable: no broker answered.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            enable_idempotence=True,
            max_request_size=DEAD_LETTERS.max_bytes,
            max_batch_size=256 * 1024,
            request_timeout_ms=int(self._timeout * 1000),
            partitioner=_PARTITIONER,
        )
        try:
            await asyncio.wait_for(producer.start(), self._timeout)
        except (KafkaError, OSError, TimeoutError) as error:
            await producer.stop()
            raise KafkaUnavailable(f"Kafka at {self._servers} does not answer ({error!r})") from error
        self._producer = producer

    async def stop(self) -> None:
        """Send what is under way and close."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def connect(self) -> None:
        """Connect, if that was not done yet.

        Raises:
            KafkaUnavailable: no broker answered.
        """
        await self._started()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all and await every acknowledgement; see `ports.Publisher`."""
        producer = await self._started()
        try:
            async with asyncio.timeout(self._timeout):
                sent = [
                    await producer.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)) for m in messages
                ]
                await asyncio.gather(*sent)
        except MessageSizeTooLargeError as error:
            raise InvalidMessage(f"a message is larger than its topic takes: {error}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._servers} did not acknowledge ({error!r})") from error

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return the partition of each key; see `ports.KeyedPublisher`."""
        producer = await self._started()
        try:
            async with asyncio.timeout(self._timeout):
                known = sorted(await producer.partitions_for(topic))
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._servers} does not answer ({error!r})") from error
        return [_PARTITIONER(key, known, known) for key in keys]

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            async with self._starting:
                if self._producer is None:
                    await self.start()
        assert self._producer is not None  # noqa: S101  start() set it or raised
        return self._producer


@asynccontextmanager
async def _admin(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=int(REQUEST_SECONDS * 1000))
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            await client.start()
        yield client
    except (KafkaConnectionError, OSError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {servers} does not answer ({error!r})") from error
    finally:
        await client.close()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What provisioning found: topics made now, topics that were right already, and how others differ."""

    created: tuple[str, ...]
    right: tuple[str, ...]
    differences: tuple[str, ...]


async def provision(
    servers: str, topics: Sequence[Topic], *, partitions: int, replication: int, create: bool = True
) -> Provisioned:
    """Create the topics that are missing and compare the others; never change one in place.

    Raises:
        KafkaUnavailable: no broker answered.
    """
    async with _admin(servers) as admin:
        existing = set(await admin.list_topics())
        missing = [t for t in topics if t.name not in existing]
        differences = []
        if create:
            await _create(admin, missing, partitions, replication)
        else:
            differences += [f"{t.name}: is missing; `soulcaster topics` makes it" for t in missing]
        present = [t for t in topics if t.name in existing]
        differences += await _compare(admin, present, partitions)
    wrong = {d.split(":", 1)[0] for d in differences}
    return Provisioned(
        created=tuple(t.name for t in missing) if create else (),
        right=tuple(t.name for t in present if t.name not in wrong),
        differences=tuple(differences),
    )


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int, replication: int) -> None:
    if not topics:
        return
    new = [
        NewTopic(t.name, num_partitions=partitions, replication_factor=replication, topic_configs=dict(t.config()))
        for t in topics
    ]
    answer = await admin.create_topics(new)
    for name, code, *rest in answer.topic_errors:
        kind = for_code(code)
        if code and kind is not TopicAlreadyExistsError:
            raise KafkaUnavailable(f"Kafka would not create the topic {name}: {rest[0] if rest else kind.__name__}")
    async with asyncio.timeout(REQUEST_SECONDS):
        while not await _led(admin, [t.name for t in topics]):  # noqa: ASYNC110  the broker has no event for it
            await asyncio.sleep(0.1)


async def _led(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> bool:
    """Tell whether every partition has its leader; a message sent before waits for one."""
    found = await admin.describe_topics(list(topics))
    partitions = [p for topic in found for p in topic["partitions"]]
    return (
        bool(partitions)
        and all(not topic["error_code"] for topic in found)
        and all(p["leader"] >= 0 and not p["error_code"] for p in partitions)
    )


async def _compare(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int) -> list[str]:
    if not topics:
        return []
    differences = []
    for found in await admin.describe_topics([t.name for t in topics]):
        count = len(found["partitions"])
        if count != partitions:
            differences.append(
                f"{found['topic']}: has {count} partitions, the setting says {partitions}; a partition count is never "
                f"changed in place: set SOULCASTER_PARTITIONS={count}, or move to a fresh cluster"
            )
    wanted = {t.name: t.config() for t in topics}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    for answer in await admin.describe_configs(resources):
        for _code, _message, _kind, name, entries in answer.resources:
            actual = {entry[0]: entry[1] for entry in entries}
            differences += [
                f"{name}: {key} is {actual.get(key)}, should be {value}; set it with kafka-configs, or delete the topic"
                for key, value in wanted[name].items()
                if actual.get(key) != value
            ]
    return differences


def record_of(message: ConsumerRecord) -> Record:
    """Return a record of aiokafka's as one of ours."""
    return Record(message.topic, message.partition, message.offset, message.timestamp, message.key, message.value)


@asynccontextmanager
async def onlooker(
    servers: str,
    *,
    timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109
    max_wait_ms: int = 500,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer that joins no group and commits nothing; who takes it assigns and seeks.

    `timeout` is in seconds, to connect; `max_wait_ms` is how long a broker holds a fetch back for what is to come.

    Raises:
        KafkaUnavailable: no broker answers, now or at any call.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        max_partition_fetch_bytes=DEAD_LETTERS.max_bytes,
        fetch_max_wait_ms=max_wait_ms,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await asyncio.wait_for(consumer.start(), timeout)
        await asyncio.sleep(0)  # a task of the consumer's that has not begun yet would make its stop raise
        yield consumer
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {servers} does not answer ({error!r})") from error
    finally:
        await consumer.stop()


class CommittedConsumer:
    """Records of one topic for a consumer group, each committed by hand when its work is done."""

    def __init__(self, servers: str, topic: str, group: str) -> None:
        """Prepare; `start` connects."""
        self._servers = servers
        self._consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=12_000,
            heartbeat_interval_ms=3_000,
            max_partition_fetch_bytes=DEAD_LETTERS.max_bytes,
        )

    async def __aenter__(self) -> Self:
        try:
            await asyncio.wait_for(self._consumer.start(), REQUEST_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._consumer.stop()
            raise KafkaUnavailable(f"Kafka at {self._servers} does not answer ({error!r})") from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._consumer.stop()

    async def records(self) -> AsyncIterator[Record]:
        """Yield records for ever."""
        async for message in self._consumer:
            yield record_of(message)

    async def commit(self, record: Record) -> None:
        """Mark a record and all before it in its partition as done.

        Raises:
            KafkaUnavailable: the coordinator did not answer.
        """
        try:
            await asyncio.wait_for(
                self._consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1}),
                REQUEST_SECONDS,
            )
        except (IllegalStateError, CommitFailedError):
            # The partition has moved: its new owner reads the record again, which is harmless.
            return
        except (KafkaError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._servers} did not take a commit ({error!r})") from error
