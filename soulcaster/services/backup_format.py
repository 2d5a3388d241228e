"""What a backup is made of: one compressed file for each partition, and a manifest that is written last.

A place without a manifest holds no backup. docs/upgrading.md describes the files.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from soulcaster.errors import BadInput
from soulcaster.ports.topic_copy import CopiedRecord

FORMAT = 1
MANIFEST = "manifest.json"

_RECORD = struct.Struct(">qqiiI")
"""Offset, time, bytes of key and of value (-1 where there is none), number of headers."""

_HEADER = struct.Struct(">ii")
"""Bytes of a header's name, and of its value (-1 where there is none)."""

_NONE = -1
MOST_MANIFEST_BYTES = 64 * 1024 * 1024
"""Bytes of a manifest at most; it has some hundred for each partition."""

MOST_RECORD_BYTES = 128 * 1024 * 1024
"""Bytes of a record at most; a batch that unpacks to half of that is not read from Kafka in the first place."""

_UNPACKED = 1024 * 1024
"""Bytes that are unpacked at once, however little they were packed."""

_FAST = 1
"""Level of compression: JSON shrinks to a fifth, and the disk is the limit."""


class Part(BaseModel):
    """One partition: where it is in the backup, and what a reader must find there."""

    model_config = ConfigDict(frozen=True)

    key: str
    topic: str
    partition: int
    first: int
    end: int
    records: int
    bytes: int
    sha256: str


class Committed(BaseModel):
    """How far a consumer group had read a partition."""

    model_config = ConfigDict(frozen=True)

    group: str
    topic: str
    partition: int
    offset: int


class Manifest(BaseModel):
    """What a backup holds. `settings` are those of the installation, without secrets, for people to read."""

    model_config = ConfigDict(frozen=True)

    format: int
    version: str
    made_at: datetime
    app_id: str
    partitions: int
    settings: Mapping[str, str]
    parts: tuple[Part, ...]
    committed: tuple[Committed, ...]


def key_of(topic: str, partition: int) -> str:
    """Return the key of the file of a partition."""
    return f"topics/{topic}/{partition}"


def encoded(records: Sequence[CopiedRecord]) -> bytes:
    """Return records as a backup has them, before compression."""
    found: list[bytes] = []
    for record in records:
        found.append(
            _RECORD.pack(
                record.offset, record.timestamp_ms, _size(record.key), _size(record.value), len(record.headers)
            )
        )
        found += (record.key or b"", record.value or b"")
        for name, value in record.headers:
            name_bytes = name.encode()
            found += (_HEADER.pack(len(name_bytes), _size(value)), name_bytes, value or b"")
    return b"".join(found)


def compressor() -> "zlib._Compress":
    """Return what compresses one partition."""
    return zlib.compressobj(_FAST)


class Decoder:
    """Makes records of a partition's bytes, as they come."""

    def __init__(self) -> None:
        self._decompress = zlib.decompressobj()
        self._rest = b""
        self._surplus = False

    def feed(self, part: bytes) -> Iterator[list[CopiedRecord]]:
        """Yield the records that are whole with these bytes, some at a time.

        Raises:
            BadInput: the bytes are no partition of a backup.
        """
        try:
            while part and not self._decompress.eof:
                self._rest += self._decompress.decompress(part, _UNPACKED)
                part = self._decompress.unconsumed_tail
                if records := list(self._whole()):
                    yield records
        except (zlib.error, ValueError) as error:
            raise BadInput(f"The backup cannot be read: {error}.") from error
        self._surplus = self._surplus or bool(part)

    def finish(self) -> None:
        """Return if nothing is missing.

        Raises:
            BadInput: the bytes ended too early, or more came than there should be.
        """
        if self._rest or not self._decompress.eof:
            raise BadInput("The backup cannot be read: a partition ends too early.")
        if self._surplus or self._decompress.unused_data:
            raise BadInput("The backup cannot be read: something follows the end of a partition.")

    def _whole(self) -> Iterator[CopiedRecord]:
        at = 0
        while (found := _record_at(self._rest, at)) is not None:
            record, at = found
            yield record
        self._rest = self._rest[at:]


def _record_at(data: bytes, at: int) -> tuple[CopiedRecord, int] | None:
    """Return the record at a position and the position after it; None if it is not whole.

    Raises:
        ValueError: no record begins there.
    """
    limit = at + MOST_RECORD_BYTES
    if len(data) < at + _RECORD.size:
        return None
    offset, timestamp_ms, key_size, value_size, header_count = _RECORD.unpack_from(data, at)
    at += _RECORD.size
    key, at = _taken(data, at, key_size, limit)
    value, at = _taken(data, at, value_size, limit)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(header_count):
        if len(data) < at + _HEADER.size:
            return None
        name_size, header_size = _HEADER.unpack_from(data, at)
        name, at = _taken(data, at + _HEADER.size, name_size, limit)
        header, at = _taken(data, at, header_size, limit)
        if at > len(data):
            return None
        headers.append(((name or b"").decode(), header))
    if at > len(data):
        return None
    return CopiedRecord(offset, timestamp_ms, key, value, tuple(headers)), at


def _taken(data: bytes, at: int, size: int, limit: int) -> tuple[bytes | None, int]:
    """Return a part of a record, as far as it is there, and the position after it, which is `limit` at most."""
    if size < _NONE:
        raise ValueError(f"a part of a record has {size} bytes")
    end = at + max(size, 0)
    if end > limit:
        raise ValueError(f"a record has more than {MOST_RECORD_BYTES:,} bytes")
    return (None if size == _NONE else data[at:end]), end


def _size(value: bytes | None) -> int:
    return _NONE if value is None else len(value)
