"""The dead letters, read from their topic by whoever looks on: no group is joined, nothing is committed."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from soulcaster.adapters.kafka.connection import REQUEST_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import Span, offsets_of
from soulcaster.adapters.kafka.records import record_of
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.dead_letters import DeadLetter, DeadLetterPage
from soulcaster.services.dead_letters import read_dead_letter
from soulcaster.wire.topics import DEAD_LETTERS

MOST_RECORDS = 2_000
"""Records of all projects that one page looks at; older ones are on the next, or in `soulcaster tail dead-letters`."""

MOST_BYTES = 64 * 1024 * 1024
"""Values of so many bytes are looked at for one page, the last one whole."""

SHOWN_BYTES = 4_096
"""What a page holds of a value."""

_FIRST_CHUNK = 20
"""Records read of a partition at first; each next time twice as many."""

_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,19})")

_Spans: TypeAlias = Mapping[TopicPartition, Span]


@dataclass(frozen=True, slots=True)
class _Looked:
    """A record that was looked at; `letter` holds the beginning of its value, None where it is none of ours."""

    timestamp_ms: int
    offset: int
    size: int
    letter: DeadLetter | None


@dataclass(slots=True)
class _Side:
    """A partition read backwards: given out down to `end`, `loaded` in order, nothing read before `unread`."""

    partition: TopicPartition
    first: int
    end: int
    unread: int = field(init=False)
    loaded: list[_Looked] = field(default_factory=list)
    chunk: int = _FIRST_CHUNK

    def __post_init__(self) -> None:
        self.unread = self.end


class KafkaDeadLetters:
    """DeadLetters over a consumer for each call; calls wait for one another, so that memory is bounded."""

    def __init__(self, servers: str, *, timeout: float = REQUEST_SECONDS) -> None:
        """Prepare; `timeout` is in seconds, for one call."""
        self._servers = servers
        self._timeout = timeout
        self._one_at_a_time = asyncio.Lock()

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        """Return a project's letters, newest first; see `ports.DeadLetters`.

        Partitions are read backwards side by side, the newest record of all next. `before` is an offset for each
        partition, so that what comes in meanwhile moves nothing; one that it does not name begins at its end.
        """
        async with self._reading() as (consumer, spans):
            backwards = _Backwards(consumer, spans, before or ())
            found: list[DeadLetter] = []
            while len(found) < limit and backwards.records < MOST_RECORDS and backwards.bytes < MOST_BYTES:
                looked = await backwards.next()
                if looked is None:
                    break
                if looked.letter is not None and looked.letter.project_id == project_id:
                    found.append(looked.letter)
            return DeadLetterPage(tuple(found), backwards.place())

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Return one whole letter, or None; see `ports.DeadLetters`."""
        place = _PLACE.fullmatch(letter_id)
        if place is None:
            return None
        tp, at = TopicPartition(DEAD_LETTERS.name, int(place[1])), int(place[2])
        async with self._reading() as (consumer, spans):
            if tp not in spans or not spans[tp].first <= at < spans[tp].end:
                return None
            for record in (await _read(consumer, {tp: Span(at, at + 1)}))[tp]:
                return await asyncio.to_thread(_letter, record)
            return None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[tuple[AIOKafkaConsumer, _Spans]]:
        """Give a consumer without a group, and where the partitions begin and end.

        Raises:
            KafkaUnavailable: no broker answers, or what was asked for takes too long.
        """
        try:
            async with asyncio.timeout(self._timeout), self._one_at_a_time:
                async with offsets_of(self._servers, timeout=self._timeout) as offsets:
                    spans = await offsets.spans([DEAD_LETTERS.name])
                async with standalone_consumer(self._servers, max_wait_ms=5) as consumer:
                    yield consumer, spans
        except TimeoutError as error:
            raise KafkaUnavailable(f"Kafka at {self._servers} takes too long") from error


class _Backwards:
    """Gives the records of all partitions, newest first; counts what it gave."""

    def __init__(self, consumer: AIOKafkaConsumer, spans: _Spans, before: Sequence[int]) -> None:
        self._consumer = consumer
        self._sides = [_Side(tp, span.first, span.end) for tp, span in sorted(spans.items())]
        for side, offset in zip(self._sides, before, strict=False):
            side.end = side.unread = max(side.first, min(side.end, offset))
        self.records = 0
        self.bytes = 0

    async def next(self) -> _Looked | None:
        """Return the next record, or None when there is none left."""
        await self._load([side for side in self._sides if not side.loaded and side.unread > side.first])
        sides = [side for side in self._sides if side.loaded]
        if not sides:
            return None
        newest = max(sides, key=lambda side: side.loaded[-1].timestamp_ms)
        looked = newest.loaded.pop()
        newest.end = looked.offset
        self.records += 1
        self.bytes += looked.size
        return looked

    def place(self) -> tuple[int, ...] | None:
        """Return the offset that each partition goes on before, or None where nothing is left."""
        if all(not side.loaded and side.unread == side.first for side in self._sides):
            return None
        return tuple(side.end for side in self._sides)

    async def _load(self, sides: Sequence[_Side]) -> None:
        """Read the chunk before what was read, of each of these."""
        if not sides:
            return
        spans = {side.partition: Span(max(side.first, side.unread - side.chunk), side.unread) for side in sides}
        records = await _read(self._consumer, spans)
        for side in sides:
            read = records[side.partition]
            side.loaded = await asyncio.to_thread(_look, read)
            side.unread = spans[side.partition].first
            side.chunk *= 2


async def _read(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span]
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Return the records of each span, in order."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in spans}
    consumer.assign(list(spans))
    for tp, span in spans.items():
        consumer.seek(tp, span.first)
    while left := [tp for tp, span in spans.items() if await consumer.position(tp) < span.end]:
        for tp, records in (await consumer.getmany(*left, timeout_ms=500)).items():
            found[tp] += [record for record in records if record.offset < spans[tp].end]
    return found


def _letter(message: ConsumerRecord) -> DeadLetter | None:
    return read_dead_letter(record_of(message), message.headers)


def _look(messages: Sequence[ConsumerRecord]) -> list[_Looked]:
    looked = []
    for message in messages:
        letter = _letter(message)
        if letter is not None:
            beginning = (letter.original.value or b"")[:SHOWN_BYTES]
            letter = replace(letter, original=replace(letter.original, value=beginning))
        looked.append(_Looked(message.timestamp, message.offset, len(message.value or b""), letter))
    return looked
