"""Records whose headers have names that are no UTF-8: any client may send them, and aiokafka gives up their batch."""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.record.util import decode_varint

from soulcaster.adapters.kafka.damage import HEADER_BYTES, batch_header

_DETAILS = struct.Struct(">hiqqqhii")
"""Attributes, last offset, first and last time, producer's id and epoch, first number, count of records."""

_DETAILS_AT = 21
_CODECS = (bytes, gzip_decode, snappy_decode, lz4_decode, zstd_decode)
_CODEC_BITS, _APPEND_TIME_BIT = 0x07, 0x08


def records_with_odd_names(tp: TopicPartition, data: bytes, offset: int) -> Iterator[tuple[ConsumerRecord, int]]:
    """Yield the records of the batch that holds an offset, from there on, each with the offset to go on at.

    What is no UTF-8 in a name is replaced; the batch is of the newest format, whose names these are.
    """
    at = 0
    while (header := batch_header(data, at)) is not None and not header.base <= offset <= header.last:
        at += header.size
    if header is None:
        return
    attributes, _last, first_ms, last_ms, _producer, _epoch, _number, count = _DETAILS.unpack_from(
        data, at + _DETAILS_AT
    )
    packed = bytes(data[at + HEADER_BYTES : at + header.size])
    reader = _Reader(bytes(_CODECS[attributes & _CODEC_BITS](packed)))
    append_time = bool(attributes & _APPEND_TIME_BIT)
    for left in range(count, 0, -1):
        record = reader.record(tp, header.base, first_ms, last_ms if append_time else None)
        if record.offset >= offset:
            yield record, record.offset + 1 if left > 1 else header.last + 1


class _Reader:
    """Reads what is unpacked, from the beginning to the end."""

    def __init__(self, unpacked: bytes) -> None:
        self._unpacked = bytearray(unpacked)
        self._at = 0

    def record(self, tp: TopicPartition, base: int, first_ms: int, append_ms: int | None) -> ConsumerRecord:
        """Return the next record."""
        _size, _attributes = self._number(), self._number()
        time_ms, offset = first_ms + self._number(), base + self._number()
        key, value = self._bytes(), self._bytes()
        headers = [((self._bytes() or b"").decode("utf-8", "replace"), self._bytes()) for _ in range(self._number())]
        return ConsumerRecord(
            tp.topic,
            tp.partition,
            offset,
            time_ms if append_ms is None else append_ms,
            int(append_ms is not None),
            key,
            value,
            None,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            tuple(headers),
        )

    def _number(self) -> int:
        found: Any
        found, self._at = decode_varint(self._unpacked, self._at)
        return int(found)

    def _bytes(self) -> bytes | None:
        size = self._number()
        if size < 0:
            return None
        self._at += size
        return bytes(self._unpacked[self._at - size : self._at])
