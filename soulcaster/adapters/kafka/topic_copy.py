"""The log as a whole, read from Kafka and written to Kafka, outside every consumer group."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.bounded_codecs import MOST_BYTES
from soulcaster.adapters.kafka.careful import noting
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.lost_records import commit_offsets
from soulcaster.adapters.kafka.offsets import KafkaOffsets, offsets_of
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import Conflict
from soulcaster.ports.topic_copy import CopiedRecord, Cut, Place, Span
from soulcaster.wire.topics import (
    CLUSTER_EVENTS,
    FEEDBACK_EMBEDDED,
    FIX_COMMANDS,
    JOB_EVENTS,
    TABLES,
    all_topics,
    changelog,
    launcher_group,
)

MAX_RECORDS = 1_000

CUT_TRIES = 500
"""Tries to read a partition's offsets between two rows of its tables; each takes some milliseconds."""

CUT_PAUSE_SECONDS = 0.05

WRITE_SECONDS = 60.0
"""How long Kafka may take to acknowledge one batch."""

PADDING_BATCHES = 16
"""Batches of padding that are under way at once."""

_AFTER_ROWS = (FEEDBACK_EMBEDDED, CLUSTER_EVENTS, JOB_EVENTS, FIX_COMMANDS)
"""What the agents with tables send."""


class KafkaLogSource:
    """LogSource over all topics of an installation; `open_log_source` makes it."""

    def __init__(
        self, consumer: AIOKafkaConsumer, offsets: KafkaOffsets, app_id: str, damaged: Sequence[DamagedRecords]
    ) -> None:
        self._consumer = consumer
        self._offsets = offsets
        self._app_id = app_id
        self.damaged = damaged
        """What could not be read so far, and was left out."""

    async def cut(self) -> Cut:
        """Return a state of the log; see `ports.topic_copy.LogSource`.

        First what groups have committed: everything that follows from it is stored by now. Then the rows of the tables,
        and what the agents with tables send: rows come before events, so without a new row in between, the events are
        those of the rows that are there, and what is missing is in a row's outbox. Last what these are made from.
        """
        committed = {
            group: {(tp.topic, tp.partition): offset for tp, offset in (await self._offsets.committed(group)).items()}
            for group in (self._app_id, launcher_group(self._app_id))
        }
        spans = await self._between_rows()
        rest = {topic.name for topic in all_topics(self._app_id)} - {topic for topic, _ in spans}
        spans.update(await self._spans(rest))
        return Cut(spans, committed)

    async def records(self, place: Place, span: Span) -> AsyncIterator[Sequence[CopiedRecord]]:
        """Yield a partition's records; see `ports.topic_copy.LogSource`."""
        tp = TopicPartition(*place)
        self._consumer.assign([tp])
        self._consumer.seek(tp, span.first)
        while await self._consumer.position(tp) < span.end:
            found = await self._consumer.getmany(tp, timeout_ms=FETCH_WAIT_MS, max_records=MAX_RECORDS)
            records = [
                CopiedRecord(one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
                for one in found.get(tp, [])
                if one.offset < span.end
            ]
            if records:
                yield records

    async def first(self, place: Place) -> int:
        """Return the offset that a partition begins at now; see `ports.topic_copy.LogSource`."""
        tp = TopicPartition(*place)
        return (await self._offsets.spans_of([tp]))[tp].first

    async def _between_rows(self) -> dict[Place, Span]:
        """Return the spans of changelogs and of what the agents with tables send, no row apart from its events.

        Raises:
            Conflict: some partition got rows without a pause.
        """
        changelogs = [changelog(self._app_id, table).name for table in TABLES]
        sent = [topic.name for topic in _AFTER_ROWS]
        found: dict[Place, Span] = {}
        for _ in range(CUT_TRIES):
            before, events, after = (
                await self._spans(changelogs),
                await self._spans(sent),
                await self._spans(changelogs),
            )
            still = {p for p in {p for _, p in before} if all(before[c, p] == after[c, p] for c in changelogs)}
            for place, span in {**before, **events}.items():
                if place[1] in still:
                    found.setdefault(place, span)
            if len(found) == len(before) + len(events):
                return found
            await asyncio.sleep(CUT_PAUSE_SECONDS)
        raise Conflict("The workers write without a pause; try again when there is less to do.")

    async def _spans(self, topics: Collection[str]) -> dict[Place, Span]:
        return {(tp.topic, tp.partition): span for tp, span in (await self._offsets.spans(topics)).items()}


@asynccontextmanager
async def open_log_source(kafka: KafkaAccess, app_id: str) -> AsyncIterator[KafkaLogSource]:
    """Give the log of an installation.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    damaged: list[DamagedRecords] = []
    noted = noting(damaged)
    async with offsets_of(kafka) as offsets, standalone_consumer(kafka, set_aside=noted) as consumer:
        yield KafkaLogSource(consumer, offsets, app_id, damaged)


class KafkaLogTarget:
    """LogTarget over all topics of an installation; `open_log_target` makes it."""

    def __init__(
        self,
        kafka: KafkaAccess,
        producer: AIOKafkaProducer,
        admin: AIOKafkaAdminClient,
        offsets: KafkaOffsets,
        app_id: str,
    ) -> None:
        self._kafka = kafka
        self._producer = producer
        self._admin = admin
        self._offsets = offsets
        self._app_id = app_id

    @property
    def most_record_bytes(self) -> int:
        """Return what the producer takes; see `ports.topic_copy.LogTarget`."""
        return MOST_BYTES

    async def check_empty(self) -> None:
        """Return if there is nothing yet; see `ports.topic_copy.LogTarget`."""
        names = {topic.name for topic in all_topics(self._app_id)}
        if missing := names - await self._offsets.topics():
            raise Conflict(f"There is no topic {min(missing)}; `soulcaster topics` makes it.")
        for tp, span in sorted((await self._offsets.spans(names)).items()):
            if span.end:
                raise Conflict(f"{tp.topic} is not empty; a backup is restored into an empty Kafka only.")
        for group in (self._app_id, launcher_group(self._app_id)):
            if await self._offsets.members(group):
                raise Conflict(f"A process of the group {group} runs; stop it first.")
            if await self._offsets.committed(group):
                raise Conflict(f"The group {group} has read something; a backup is restored into an empty Kafka only.")

    async def begin_at(self, place: Place, first: int) -> None:
        """Write as many records as are missing, and delete them; see `ports.topic_copy.LogTarget`."""
        if not first:
            return
        missing = first
        under_way: list[asyncio.Future[object]] = []
        async with unavailable_errors(self._kafka, "did not acknowledge"):
            while missing:
                batch = self._producer.create_batch()
                count = 0
                while count < missing and batch.append(key=None, value=b"", timestamp=None) is not None:
                    count += 1
                batch.close()
                under_way.append(await self._producer.send_batch(batch, place[0], partition=place[1]))
                missing -= count
                if len(under_way) == PADDING_BATCHES or not missing:
                    async with asyncio.timeout(WRITE_SECONDS):
                        await asyncio.gather(*under_way)
                    under_way.clear()
            await self._admin.delete_records({TopicPartition(*place): RecordsToDelete(before_offset=first)})

    async def write(self, place: Place, records: Sequence[CopiedRecord]) -> None:
        """Append records; see `ports.topic_copy.LogTarget`."""
        topic, partition = place
        async with unavailable_errors(self._kafka, "did not acknowledge"):
            async with asyncio.timeout(WRITE_SECONDS):
                acknowledgements = [
                    await self._producer.send(
                        topic,
                        value=one.value,
                        key=one.key,
                        partition=partition,
                        timestamp_ms=one.timestamp_ms,
                        headers=list(one.headers),
                    )
                    for one in records
                ]
                await asyncio.gather(*acknowledgements)

    async def end(self, place: Place) -> int:
        """Return the offset of the next record; see `ports.topic_copy.LogTarget`."""
        return (await self._offsets.spans([place[0]]))[TopicPartition(*place)].end

    async def commit(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets; see `ports.topic_copy.LogTarget`."""
        await commit_offsets(self._kafka, group, {TopicPartition(*place): at for place, at in offsets.items()})


@asynccontextmanager
async def open_log_target(kafka: KafkaAccess, app_id: str) -> AsyncIterator[KafkaLogTarget]:
    """Give the topics of an installation, to be written to.

    Raises:
        KafkaUnavailable: no broker answers, now or at any later call.
    """
    timeout_ms = int(REQUEST_SECONDS * 1000)
    admin = AIOKafkaAdminClient(**kafka.options(), request_timeout_ms=timeout_ms)
    producer = AIOKafkaProducer(
        **kafka.options(),
        acks="all",
        enable_idempotence=True,
        max_request_size=MOST_BYTES + 64 * 1024,  # before it is packed, as the broker does not count it
        compression_type="gzip",  # a record that came packed may be larger than a topic takes
        max_batch_size=1024 * 1024,
        request_timeout_ms=timeout_ms,
    )
    async with offsets_of(kafka) as offsets:
        try:
            async with unavailable_errors(kafka):
                await admin.start()
                await producer.start()
            yield KafkaLogTarget(kafka, producer, admin, offsets, app_id)
        finally:
            await producer.stop()
            await admin.close()
