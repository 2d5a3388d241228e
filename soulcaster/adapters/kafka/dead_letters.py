"""Dead letters, read from their topic without joining a group or committing anything."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.backward_reader import FETCH_BYTES, BackwardReader, span_of
from soulcaster.adapters.kafka.connection import REQUEST_SECONDS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.records import record_of
from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.dead_letters import DeadLetter, DeadLetterPage
from soulcaster.ports.topic_copy import Span
from soulcaster.services.dead_letters import MAX_REASON, read_damaged, read_dead_letter
from soulcaster.services.fair_turns import FairTurns
from soulcaster.wire.topics import DEAD_LETTERS

MAX_BYTES = 32 * 1024 * 1024
"""No further record is returned for a page when so many bytes were read for it."""

READ_SECONDS = 2.0
"""Nor when it was read for so long: others wait. Until then a page that is not full is read on, past the letters of
other projects."""

WAIT_SECONDS = 60.0
"""Longest wait for a turn; what `AT_ONCE` calls of other projects take is `READ_SECONDS` and a little more each."""

AT_ONCE = 4
"""Calls that read at the same time, of different projects."""

MOST_WAITING = 50
"""Calls of one project that wait."""

SHOWN_BYTES = 4_096
"""Length of the beginning of a value, and of a key, that a page holds."""

PAGE_BYTES = 128 * 1024
"""What the dead letters of a page show together, about; in JSON a byte may become six."""

MAX_WAIT_MS = 5
"""How long a broker holds back a fetch; what is read exists, so there is nothing to wait for."""

_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,19})")


class KafkaDeadLetters:
    """DeadLetters over a consumer for each call; `AT_ONCE` read at a time, one a project, so memory is bounded."""

    def __init__(self, kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> None:
        """Connect nothing yet; `timeout` is in seconds, for one call."""
        self._kafka = kafka
        self._timeout = timeout
        self._turns = FairTurns(AT_ONCE, each=1, waiting=MOST_WAITING)

    async def newest(self, project_id: str, *, limit: int, before: Sequence[int] | None) -> DeadLetterPage:
        """Return a project's dead letters, newest first; see `ports.dead_letters.DeadLetters`.

        `before` holds an offset for each partition, so dead letters that arrive meanwhile shift nothing.
        """
        async with self._reading(project_id) as (consumer, spans):
            reader = BackwardReader(consumer, spans, before or (), _shortened)
            found: list[DeadLetter] = []
            shown = 0
            now = asyncio.get_running_loop().time
            until = now() + READ_SECONDS
            async for dead_letter in reader:
                if dead_letter is not None and dead_letter.project_id == project_id:
                    found.append(dead_letter)
                    shown += _size(dead_letter)
                if len(found) >= limit or shown >= PAGE_BYTES or reader.bytes >= MAX_BYTES or now() >= until:
                    break
            return DeadLetterPage(tuple(found), reader.position())

    async def get(self, project_id: str, letter_id: str) -> DeadLetter | None:
        """Return one dead letter of a project with its whole value; see `ports.dead_letters.DeadLetters`."""
        parts = _ID.fullmatch(letter_id)
        if parts is None:
            return None
        tp, offset = TopicPartition(DEAD_LETTERS.name, int(parts[1])), int(parts[2])
        async with self._reading(project_id) as (consumer, spans):
            if tp not in spans or not spans[tp].first <= offset < spans[tp].end:
                return None
            async for records in span_of(consumer, tp, Span(offset, offset + 1)):
                for record in records:
                    letter = await asyncio.to_thread(_dead_letter, record)
                    return letter if letter is not None and letter.project_id == project_id else None
            return None

    @asynccontextmanager
    async def _reading(self, project_id: str) -> AsyncIterator[tuple[AIOKafkaConsumer, Mapping[TopicPartition, Span]]]:
        """Wait for the project's turn, and give a consumer without a group, and where the partitions begin and end.

        Raises:
            KafkaUnavailable: no broker answers, or the wait and the block take too long.
            LimitReached: too many calls of this project wait.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                turn = await self._turns.take(project_id)
        except TimeoutError as error:
            raise KafkaUnavailable("Too many read dead letters at the same time") from error
        try:
            async with asyncio.timeout(self._timeout):
                async with offsets_of(self._kafka, timeout=self._timeout) as offsets:
                    spans = await offsets.spans([DEAD_LETTERS.name])
                async with standalone_consumer(
                    self._kafka, max_wait_ms=MAX_WAIT_MS, fetch_bytes=FETCH_BYTES
                ) as consumer:
                    yield consumer, spans
        except TimeoutError as error:
            raise KafkaUnavailable(f"Kafka at {self._kafka.servers} takes too long") from error
        finally:
            turn.end()


async def newest_damage(kafka: KafkaAccess, *, timeout: float = REQUEST_SECONDS) -> Collection[DamagedRecords]:  # noqa: ASYNC109
    """Return what the newest dead letters say cannot be read, each place once; as many as a page reads.

    Raises:
        KafkaUnavailable: no broker answers.
    """
    found: dict[tuple[str, int, int], DamagedRecords] = {}
    async with offsets_of(kafka, timeout=timeout) as offsets:
        spans = await offsets.spans([DEAD_LETTERS.name])
    async with standalone_consumer(kafka, max_wait_ms=MAX_WAIT_MS, fetch_bytes=FETCH_BYTES) as consumer:
        reader = BackwardReader(consumer, spans, (), lambda message: read_damaged(message.headers))
        now = asyncio.get_running_loop().time
        until = now() + READ_SECONDS
        async for damaged in reader:
            if damaged is not None:
                found.setdefault((damaged.topic, damaged.partition, damaged.first), damaged)
            if reader.bytes >= MAX_BYTES or now() >= until:
                break
    return found.values()


def _dead_letter(message: ConsumerRecord) -> DeadLetter | None:
    """Return a record as a dead letter, None where it is not one of ours."""
    return read_dead_letter(record_of(message), message.headers)


def _shortened(message: ConsumerRecord) -> DeadLetter | None:
    """Return a record as a dead letter with the beginning of its value."""
    dead_letter = _dead_letter(message)
    if dead_letter is None:
        return None
    original = dead_letter.original
    beginning = (original.value or b"")[:SHOWN_BYTES]
    key = None if original.key is None else original.key[:SHOWN_BYTES]
    shown = replace(original, key=key, value=beginning)
    return replace(dead_letter, original=shown, reason=dead_letter.reason[:MAX_REASON])


def _size(letter: DeadLetter) -> int:
    """Return how much of a dead letter a page holds."""
    return len(letter.original.value or b"") + len(letter.original.key or b"") + len(letter.reason.encode())
