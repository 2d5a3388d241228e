"""The publisher that every process sends with."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.partitioner import DefaultPartitioner

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS, unavailable_errors
from soulcaster.errors import InvalidMessage
from soulcaster.ports.messaging import Outgoing
from soulcaster.telemetry.metrics import KAFKA_PUBLISH_SECONDS, KAFKA_PUBLISHED
from soulcaster.telemetry.spans import TRACER, Headers
from soulcaster.wire.topics import DEAD_LETTERS

MAX_BATCH_BYTES = 256 * 1024
"""What the producer collects for one partition before it sends."""

_SPENT = (InvalidProducerEpoch, OutOfOrderSequenceNumber, ProducerClosed, ProducerFenced, UnknownProducerId)
"""After these a producer sends nothing more, to one partition at least, however often it is asked.

aiokafka gives up a message whose partition has no leader for too long, as in a restart of the broker, but has counted
it: the broker refuses all later ones, because their numbers are not the next. A producer is spent, too, when its task
that sends has ended, by an error that aiokafka does not expect: it then raises that error for ever.
"""

_PARTITIONER = DefaultPartitioner()


class KafkaPublisher:
    """Publisher over an idempotent aiokafka producer, and over a new one when that can send no more.

    It connects with `async with KafkaPublisher(kafka)`, with `connect`, or with the first message.
    """

    def __init__(self, kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> None:
        """Connect nothing yet. `timeout` is in seconds, for connecting and for one `publish`."""
        self._kafka = kafka
        self._timeout = timeout
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect, unless it is connected.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        await self._connected()

    async def stop(self) -> None:
        """Send what is under way, as far as Kafka takes it in time, and close the connection."""
        producer = self._producer
        if producer is not None:
            self._producer = None
            await self._close(producer)
        if self._ending:
            await asyncio.wait(self._ending)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all and await every acknowledgement; see `ports.messaging.Publisher`."""
        producer = await self._connected()
        started = time.perf_counter()
        with TRACER.now.publishing((message.topic for message in messages), len(messages)) as trace:
            await self._send(producer, messages, trace)
        KAFKA_PUBLISH_SECONDS.observe(time.perf_counter() - started)
        for topic, count in Counter(message.topic for message in messages).items():
            KAFKA_PUBLISHED.labels(topic).inc(count)

    async def _send(self, producer: AIOKafkaProducer, messages: Sequence[Outgoing], trace: Headers) -> None:
        async with unavailable_errors(self._kafka, "did not acknowledge"):
            try:
                async with asyncio.timeout(self._timeout):
                    acknowledgements = [
                        await producer.send(m.topic, value=m.value, key=m.key, headers=[*m.headers, *trace])
                        for m in messages
                    ]
                    await asyncio.gather(*acknowledgements)
            except MessageSizeTooLargeError as error:
                raise InvalidMessage(f"a message is larger than its topic takes: {error}") from error
            except KafkaError as error:
                if isinstance(error, _SPENT) or producer._sender.sender_task.done():
                    self._replace(producer)
                raise

    def _replace(self, producer: AIOKafkaProducer) -> None:
        """Let the next message have a new producer; this one still sends what it can."""
        if self._producer is producer:
            self._producer = None
            ending = asyncio.create_task(self._close(producer))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _close(self, producer: AIOKafkaProducer) -> None:
        """Close a producer; it would try for ever to send what it holds, which nobody waits for any more."""
        try:
            async with asyncio.timeout(self._timeout):
                await producer.stop()
        except TimeoutError:
            await producer._sender.close()
            await producer.client.close()

    async def partitions(self, topic: str, keys: Sequence[bytes]) -> Sequence[int]:
        """Return the partition of each key; see `ports.messaging.KeyedPublisher`."""
        producer = await self._connected()
        async with unavailable_errors(self._kafka):
            async with asyncio.timeout(self._timeout):
                partitions = sorted(await producer.partitions_for(topic))
        return [_PARTITIONER(key, partitions, partitions) for key in keys]

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            async with self._connecting:
                if self._producer is None:
                    self._producer = await self._new_producer()
        return self._producer

    async def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._kafka.options(),
            acks="all",
            enable_idempotence=True,
            max_request_size=DEAD_LETTERS.max_bytes,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=int(self._timeout * 1000),
            partitioner=_PARTITIONER,
        )
        try:
            async with unavailable_errors(self._kafka):
                async with asyncio.timeout(self._timeout):
                    await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer
