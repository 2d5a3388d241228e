"""Rows that are larger than a message may be travel as parts. A row whose parts are not all there was never written.

The parts of a row are written in order, each with the digest of the whole; so after a crash between them, the parts of
another attempt make no whole with these.
"""

from collections.abc import Mapping
from hashlib import blake2b

from soulcaster.wire.topics import MAX_MESSAGE_BYTES

PART_BYTES = MAX_MESSAGE_BYTES // 4

_MARK = "+"
_DIGEST = 16


def split(name: str, value: bytes) -> dict[str, bytes]:
    """Return what a row is written as, by name: itself, or its parts, in the order in which they must be written."""
    if len(value) <= PART_BYTES:
        return {name: value}
    digest = blake2b(value, digest_size=_DIGEST).digest()
    starts = range(0, len(value), PART_BYTES)
    return {
        f"{name}{_MARK}{n}/{len(starts)}": digest + value[start : start + PART_BYTES] for n, start in enumerate(starts)
    }


def row_name(name: str) -> str:
    """Return the name of the row that is written under this name, as a whole or in part."""
    return name.partition(_MARK)[0]


def join(written: Mapping[str, bytes]) -> bytes | None:
    """Return a row from all that is written of it, None where that is no whole row."""
    for name, value in written.items():
        row, mark, place = name.partition(_MARK)
        if not mark:
            return value
        count = int(place.partition("/")[2])
        parts = [written.get(f"{row}{_MARK}{n}/{count}", b"") for n in range(count)]
        digest, whole = parts[0][:_DIGEST], b"".join(part[_DIGEST:] for part in parts)
        if blake2b(whole, digest_size=_DIGEST).digest() == digest and all(part[:_DIGEST] == digest for part in parts):
            return whole
    return None
