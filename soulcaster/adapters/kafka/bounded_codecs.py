"""How far a compressed batch may unpack: a broker counts compressed bytes, and a megabyte may be gigabytes of blanks.

aiokafka unpacks a batch whole, whatever comes of it. Here its codecs are replaced by ones with a limit; beyond it they
raise, so the batch is one that cannot be read, and `careful` sets it aside.
"""

import struct
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiokafka.codec import cramjam
from aiokafka.record import default_records, legacy_records
from aiokafka.record._crecords import default_records as c_default_records
from aiokafka.record._crecords import legacy_records as c_legacy_records

from soulcaster.wire.topics import MAX_MESSAGE_BYTES

MOST_BYTES = 16 * MAX_MESSAGE_BYTES
"""Bytes of a batch, unpacked."""

_XERIAL = bytes((0x82, *b"SNAPPY", 0))
"""How a stream of snappy blocks begins, as Java's library writes it; without it, the bytes are one block."""

_XERIAL_HEADER = 16

_LENGTH = struct.Struct(">i")

_GZIP = 16 + zlib.MAX_WBITS

_MODULES: tuple[ModuleType, ...] = (default_records, legacy_records, c_default_records, c_legacy_records)


class UnpacksTooLarge(ValueError):
    """A batch has too many bytes, unpacked."""

    def __init__(self) -> None:
        super().__init__(f"it does not unpack into {MOST_BYTES:,} bytes")


def gzip_decode(payload: Any) -> bytes:
    """Unpack gzip, of all members."""
    out, rest = bytearray(), bytes(payload)
    while rest:
        reader = zlib.decompressobj(_GZIP)
        out += reader.decompress(rest, MOST_BYTES + 1 - len(out))
        if len(out) > MOST_BYTES:
            raise UnpacksTooLarge
        if not reader.eof:
            raise EOFError("the gzip is cut off")
        rest = reader.unused_data
    return bytes(out)


def snappy_decode(payload: Any) -> bytes:
    """Unpack snappy: one block, or a stream of blocks with their lengths."""
    data = bytes(payload)
    if not data.startswith(_XERIAL):
        return _snappy_block(data, MOST_BYTES)
    out, at = bytearray(), _XERIAL_HEADER
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length < 0:
            raise ValueError("a block of snappy has a length below zero")
        out += _snappy_block(data[at : at + length], MOST_BYTES - len(out))
        at += length
    return bytes(out)


def _snappy_block(block: bytes, most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > most:
        raise UnpacksTooLarge
    return bytes(cramjam.snappy.decompress_raw(block))


def lz4_decode(payload: Any) -> bytes:
    """Unpack lz4."""
    return _into(cramjam.lz4.decompress_into, bytes(payload))


def zstd_decode(payload: Any) -> bytes:
    """Unpack Zstandard."""
    return _into(cramjam.zstd.decompress_into, bytes(payload))


def _into(unpack: Callable[[bytes, bytearray], int], data: bytes) -> bytes:
    """Unpack into room that grows while it does not suffice; the library does not say how much there will be."""
    room = 8 * len(data) + 64 * 1024
    while True:
        out = bytearray(min(room, MOST_BYTES))
        try:
            return bytes(memoryview(out)[: unpack(data, out)])
        except cramjam.DecompressionError as error:  # too little room, or damaged
            if len(out) == MOST_BYTES:
                raise UnpacksTooLarge from error
            room *= 8


def bound() -> None:
    """Replace the codecs of aiokafka."""
    for module in _MODULES:
        for codec in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
            if hasattr(module, codec.__name__):
                setattr(module, codec.__name__, codec)
