"""Records that the broker cannot give any more: what it gives is damaged, or it gives an error or nothing.

A consumer cannot tell where they end. So batches are fetched here one by one, as they lie on the disk.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaStorageError,
    LeaderNotAvailableError,
    NoError,
    OffsetOutOfRangeError,
    UnknownError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.control_record import ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS, REQUEST_SECONDS, unavailable_errors
from soulcaster.domain.lost_records import DamagedRecords

UNREADABLE = (CorruptRecordException, UnknownError, KafkaStorageError)
"""What a broker answers when it cannot make sense of what is on its disk. The last two may pass, too."""

MOST_BYTES = 16 * 1024 * 1024
"""What is looked at once holds so many bytes at most; the rest is found when it is next."""

_ONE_BATCH = 1
"""So many bytes at most; the broker gives the first batch whole all the same."""

_BEYOND = 1024 * 1024
"""So many bytes are fetched behind a damaged batch, to find where the next one begins."""

_READ_UNCOMMITTED = 0

_CONNECTION = "close looks"
"""A connection of their own: on one of a consumer's, each request waits while the broker holds back a fetch."""

_HEADER = struct.Struct(">qiib")
_LAST_DELTA = struct.Struct(">i")
_LAST_DELTA_AT = 23
_NEWEST_FORMAT = 2

HEADER_BYTES = 61
"""Bytes of a header of the newest format."""

_LEAST_BYTES = {0: 26, 1: 34, _NEWEST_FORMAT: HEADER_BYTES}
"""Bytes that a batch of each format has at least."""


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What the header of a batch says of it: its offsets, its bytes, and its format ("magic byte")."""

    base: int
    last: int
    size: int
    format: int

    def wrong(self, end: int) -> str:
        """Return what of it cannot be in a partition that ends before the offset `end`; "" if all can be."""
        if self.format not in _LEAST_BYTES:
            return f"nobody knows its format, {self.format}"
        if self.size < _LEAST_BYTES[self.format]:
            return f"its header says that it has {self.size} bytes"
        if not 0 <= self.base <= self.last < end:
            return f"its header says that it has the offsets {self.base:,} to {self.last:,}"
        return ""


def batch_header(data: bytes, at: int) -> BatchHeader | None:
    """Return the header of the batch at a position; None if there is not all of it."""
    if len(data) < at + _LEAST_BYTES[0]:
        return None
    base, length, _epoch, magic = _HEADER.unpack_from(data, at)
    last = base
    if magic >= _NEWEST_FORMAT and len(data) >= at + _LEAST_BYTES[_NEWEST_FORMAT]:
        last += _LAST_DELTA.unpack_from(data, at + _LAST_DELTA_AT)[0]
    return BatchHeader(base, last, length + 12, magic)


def why_unreadable(batch: bytes, end: int) -> str:
    """Return why a batch of a partition that ends before the offset `end` cannot be read; "" if it can."""
    header = batch_header(batch, 0)
    if header is None or len(batch) < header.size:
        return "it is cut off"
    if wrong := header.wrong(end):
        return wrong
    try:
        parsed = MemoryRecords(batch).next_batch()
        if not parsed.validate_crc():
            return "its checksum is wrong"
        if parsed.is_control_batch:
            ControlRecord.parse(next(iter(parsed)).key)
        else:
            for _ in parsed:
                pass
    except UnicodeDecodeError:
        return ""  # the name of a header is no text; such records are read all the same
    except Exception as error:  # whatever a codec or a parser raises
        return f"it cannot be unpacked ({type(error).__name__}: {error})"
    return ""


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """What was found at an offset: why it cannot be read, where to look on, the bytes, and whether this can pass."""

    reason: str
    next: int
    data: bytes = b""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Damage:
    """What cannot be read, from an offset on.

    It is not certain if the broker gives no bytes up to the end and says nothing clear: then it may be in trouble.
    """

    found: tuple[DamagedRecords, ...]
    certain: bool


class BatchReader:
    """Fetches batches; `batch_reader` makes it. Its methods raise aiokafka's errors when a broker does not answer."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def damage(self, tp: TopicPartition, at: int, end: int) -> Damage:
        """Return what cannot be read from the offset `at` on, which is before `end`; nothing if the next record can.

        Each damaged batch is found by itself; offsets of which the broker gives no bytes are put together.
        """
        found: list[DamagedRecords] = []
        size, certain = 0, False
        while at < end and size < MOST_BYTES and (one := await self._look(tp, at, end)) is not None:
            beyond = min(max(one.next, at + 1), end)
            certain = certain or not one.may_pass
            before = found[-1] if found else None
            if before is not None and not one.data and not before.data and before.reason == one.reason:
                found[-1] = DamagedRecords(tp.topic, tp.partition, before.first, beyond, one.reason)
            else:
                found.append(DamagedRecords(tp.topic, tp.partition, at, beyond, one.reason, one.data))
            at, size = beyond, size + len(one.data)
        return Damage(tuple(found), certain or at < end)

    async def _look(self, tp: TopicPartition, at: int, end: int) -> _Unreadable | None:
        """Return why the record at an offset, or the next one after it, cannot be read; None if it can."""
        error, data = await self._fetch(tp, at, _ONE_BATCH)
        if error is OffsetOutOfRangeError:
            return None
        if issubclass(error, UNREADABLE):
            reason = f"the broker cannot read it ({error.message})"  # type: ignore[attr-defined]
            return _Unreadable(reason, at + 1, may_pass=error is not CorruptRecordException)
        if error is not NoError:
            raise error
        header = batch_header(data, 0)
        if header is None:
            return _Unreadable("the broker gives nothing of it", at + 1, may_pass=True)
        batch = data[: max(header.size, 0)]
        why = why_unreadable(batch, end)
        if not why:
            return None
        following = await self._following(tp, at, end, header)
        if following is None:
            following = header.last + 1 if header.base <= at <= header.last < end else at + 1
        return None if following == at else _Unreadable(why, following, batch)

    async def _following(self, tp: TopicPartition, at: int, end: int, damaged: BatchHeader) -> int | None:
        """Return where the whole batch behind a damaged one begins; None if there is none right behind it."""
        _error, data = await self._fetch(tp, at, max(damaged.size, 0) + _BEYOND)
        begins = max(damaged.size, 1)
        header = batch_header(data, begins)
        if header is None or header.base < at or why_unreadable(data[begins : begins + max(header.size, 0)], end):
            return None
        return header.base

    async def _fetch(self, tp: TopicPartition, at: int, size: int) -> tuple[type[Exception], bytes]:
        await self._client.add_topic(tp.topic)
        leader = self._client.cluster.leader_for_partition(tp)
        if leader is None or leader == -1:
            raise LeaderNotAvailableError
        wanted = [(tp.topic, [(tp.partition, at, size)])]
        request = FetchRequest(FETCH_WAIT_MS, 1, size, _READ_UNCOMMITTED, wanted)
        answer: Any = await self._client.send(leader, request, group=_CONNECTION)
        [(_topic, [(_partition, code, _highwater, *_rest, data)])] = answer.topics
        return for_code(code), bytes(data or b"")


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
