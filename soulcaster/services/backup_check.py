"""Whether a backup is one, as far as that can be said before anything of it is written."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence, Set

from soulcaster.errors import BadInput
from soulcaster.ports.archive import Archive
from soulcaster.ports.topic_copy import CopiedRecord
from soulcaster.services.backup_format import FORMAT, Decoder, Manifest, Part, key_of
from soulcaster.wire.topics import all_topics, launcher_group

MOST_MISSING = 10_000_000
"""Offsets of a partition without a record that a restore fills; a backup lacks markers and what could not be read."""

MOST_OFFSET = 10**11
"""No partition got so far: with a thousand records a second it would take three years."""


def check_fits(manifest: Manifest, app_id: str, partitions: int) -> None:
    """Return if a manifest is of this installation, and what it says can be true.

    Raises:
        BadInput: it is not, or cannot.
    """
    if manifest.format != FORMAT:
        raise BadInput(f"The backup has format {manifest.format}, and this version reads format {FORMAT}.")
    if manifest.app_id != app_id or manifest.partitions != partitions:
        raise BadInput(
            f"The backup is of an installation with SOULCASTER_APP_ID={manifest.app_id} and "
            f"SOULCASTER_PARTITIONS={manifest.partitions}; set both to these."
        )
    found: dict[str, list[int]] = defaultdict(list)
    for part in manifest.parts:
        found[part.topic].append(part.partition)
        _check_part(part)
    if unknown := found.keys() - {topic.name for topic in all_topics(app_id)}:
        raise BadInput(f"The backup has a topic {min(unknown)}, which this version does not know.")
    for topic, of_topic in found.items():
        if sorted(of_topic) != list(range(partitions)):
            raise _wrong(f"it does not have each of the {partitions} partitions of {topic} once")
    _check_committed(manifest, app_id)


def _check_part(part: Part) -> None:
    if part.key != key_of(part.topic, part.partition):
        raise _wrong(f"{part.topic}, partition {part.partition}, is not kept under {part.key!r}")
    span = part.end - part.first
    if not 0 <= part.first <= part.end <= MOST_OFFSET or not 0 <= part.records <= span:
        raise _wrong(f"{part.key} has {part.records} records from offset {part.first} to {part.end}")


def _check_committed(manifest: Manifest, app_id: str) -> None:
    ends = {(part.topic, part.partition): part.end for part in manifest.parts}
    for one in manifest.committed:
        if one.group not in {app_id, launcher_group(app_id)}:
            raise _wrong(f"it has offsets of a group {one.group!r}")
        if not 0 <= one.offset <= ends.get((one.topic, one.partition), -1):
            raise _wrong(f"the group {one.group} has read {one.topic}, partition {one.partition}, up to {one.offset}")


async def verify(
    part: Part, archive: Archive, compacted: Set[str], most_bytes: int, read: Callable[[int], None]
) -> None:
    """Return if the file of a partition is what the manifest says and can be written; `read` gets the bytes read.

    Args:
        part: what the manifest says.
        archive: where the file is.
        compacted: the topics whose records need not follow each other.
        most_bytes: how large a record may be that is written.
        read: gets how many bytes were read, with each read.

    Raises:
        BadInput: it is not, or cannot.
        Unavailable: the archive does not answer.
    """
    digest, size = hashlib.sha256(), 0
    decoder, records = Decoder(), _Records(part, most_bytes)
    fault: BadInput | None = None  # the digest says more: that the file is not the one that was written
    async for data in archive.read(part.key):
        digest.update(data)
        size += len(data)
        if size > part.bytes:
            break
        try:
            for some in decoder.feed(data) if fault is None else ():
                records.check(some)
        except BadInput as error:
            fault = error
        read(len(data))
    if size != part.bytes or digest.hexdigest() != part.sha256:
        raise BadInput(f"The backup is damaged: {part.key} is not what was written.")
    if fault is not None:
        raise fault
    decoder.finish()
    records.finish(compacted=part.topic in compacted)


class _Records:
    """The records of a partition: their offsets rise, and they are as many as the manifest says."""

    def __init__(self, part: Part, most_bytes: int) -> None:
        self._part = part
        self._most_bytes = most_bytes
        self._next = part.first
        self._count = 0

    def check(self, records: Sequence[CopiedRecord]) -> None:
        for record in records:
            if not self._next <= record.offset < self._part.end:
                raise _wrong(f"in {self._part.key} a record has the offset {record.offset} where {self._next} is next")
            if len(record.key or b"") + len(record.value or b"") > self._most_bytes:
                raise _wrong(f"in {self._part.key} the record {record.offset} has more than {self._most_bytes:,} bytes")
            self._next = record.offset + 1
        self._count += len(records)

    def finish(self, *, compacted: bool) -> None:
        part = self._part
        if self._count != part.records:
            raise _wrong(f"{part.key} has {self._count} records, not {part.records}")
        missing = part.end - part.first - part.records
        if not compacted and missing > MOST_MISSING:
            raise _wrong(f"in {part.key} {missing:,} offsets have no record; a restore fills {MOST_MISSING:,} at most")


def _wrong(what: str) -> BadInput:
    return BadInput(f"The backup is damaged, or somebody changed it: {what}. Nothing was restored.")
