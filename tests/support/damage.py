"""Batches damaged on a broker's disk, in the ways in which disks and programs do it."""

import struct
from collections.abc import Callable
from pathlib import Path

from aiokafka.record.util import calc_crc32c

_SIZE = struct.Struct(">i")
_SIZE_AT, _MAGIC_AT, _CRC_AT, _ATTRIBUTES_AT, _LAST_AT, _RECORDS_AT = 8, 16, 17, 21, 23, 61
_CRC = struct.Struct(">I")


def checksum_is_wrong(batch: bytearray) -> None:
    batch[-1] ^= 0xFF


def codec_is_unknown(batch: bytearray) -> None:
    batch[_ATTRIBUTES_AT + 1] |= 0x07
    _sign(batch)


def cannot_be_unpacked(batch: bytearray) -> None:
    batch[_ATTRIBUTES_AT + 1] |= 0x04
    _sign(batch)


def records_make_no_sense(batch: bytearray) -> None:
    batch[_RECORDS_AT:] = b"\xff" * (len(batch) - _RECORDS_AT)
    _sign(batch)


def format_is_unknown(batch: bytearray) -> None:
    batch[_MAGIC_AT] = 9


def offset_is_beyond_the_end(batch: bytearray) -> None:
    batch[2] ^= 0x01


def has_too_many_offsets(batch: bytearray) -> None:
    batch[_LAST_AT] ^= 0x40


def has_too_few_offsets(batch: bytearray) -> None:
    batch[_LAST_AT + 3] = 0


def size_is_too_small(batch: bytearray) -> None:
    _SIZE.pack_into(batch, _SIZE_AT, 3)


def size_is_too_large(batch: bytearray) -> None:
    _SIZE.pack_into(batch, _SIZE_AT, 0x7FFFFFFF)


ODD_NAME = "a name that is none"


def header_name_is_no_text(batch: bytearray) -> None:
    at = batch.index(ODD_NAME.encode())
    batch[at] = 0xFF
    _sign(batch)


GIVEN = (
    checksum_is_wrong,
    codec_is_unknown,
    cannot_be_unpacked,
    records_make_no_sense,
    format_is_unknown,
    offset_is_beyond_the_end,
    has_too_many_offsets,
    has_too_few_offsets,
)
"""Damage of batches that the broker gives all the same."""


def damage(folder: Path, topic: str, words: str, how: Callable[[bytearray], None], partition: int | None = None) -> int:
    """Damage each batch of a topic that has these words, below a Kafka's folder; return the partition that has them.

    Only one partition may have them, unless it is named.
    """
    files = folder.rglob(f"{topic}-{'*' if partition is None else partition}/*.log")
    [file] = [file for file in files if words.encode() in file.read_bytes()]
    stored = file.read_bytes()
    at = 0
    with file.open("r+b") as log:
        while at < len(stored):
            size = 12 + _SIZE.unpack_from(stored, at + _SIZE_AT)[0]
            batch = bytearray(stored[at : at + size])
            if words.encode() in batch:
                how(batch)
                log.seek(at)
                log.write(batch)
            at += size
    return int(file.parent.name.rsplit("-", 1)[1])


def _sign(batch: bytearray) -> None:
    _CRC.pack_into(batch, _CRC_AT, calc_crc32c(bytes(batch[_ATTRIBUTES_AT:])))
