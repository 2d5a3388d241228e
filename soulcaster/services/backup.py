"""The log copied to a folder or a bucket, from which `services.restore` makes an installation again.

Everything is on Kafka, so a backup is every topic as it is retained: what came in, items, vectors, commands and events,
the tables' changelogs, control, dead letters; and how far the consumer groups had read. The read model is made again
from it. Not in it: settings with secrets, the archive of logs, and what lives in Redis alone (sign-in links, the last
use of an API key).

The installation may run meanwhile. `LogSource.cut` chooses the offsets up to which each partition is copied so that
they fit together; then the same holds for the copy as for a worker that died at that moment.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from soulcaster.errors import BadInput, Conflict, NotFound
from soulcaster.ports.archive import Archive
from soulcaster.ports.clock import Clock
from soulcaster.ports.topic_copy import Cut, LogSource, Place, Span
from soulcaster.services.backup_format import (
    FORMAT,
    MANIFEST,
    MOST_MANIFEST_BYTES,
    Committed,
    Manifest,
    Part,
    compressor,
    encoded,
    key_of,
)
from soulcaster.wire.topics import COMPACTION_LAG, all_topics

Report = Callable[[int, int], None]
"""Takes how many records are done, of how many at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """What is backed up; `settings` are shown in the manifest and hold no secrets."""

    app_id: str
    partitions: int
    version: str
    settings: Mapping[str, str]


async def back_up(
    installation: Installation, source: LogSource, archive: Archive, clock: Clock, report: Report
) -> Manifest:
    """Copy the log to an archive, and return what was copied; the manifest is written last.

    Compacted topics come first. A record of them that was the newest of its key at the cut may be replaced meanwhile,
    and compaction may remove it, but not within `COMPACTION_LAG`.

    Raises:
        Conflict: the archive holds a backup, or the log moved too fast to be copied.
        Unavailable: Kafka or the archive does not answer; what was written is no backup and may be written over.
    """
    if await archive.find(MANIFEST) is not None:
        raise Conflict("There is a backup in this place already; name another one.")
    made_at = clock()
    cut = await source.cut()
    total = sum(span.end - span.first for span in cut.spans.values())
    compacted = {topic.name for topic in all_topics(installation.app_id) if topic.cleanup == "compact"}
    done = 0
    parts: list[Part] = []
    for place in sorted(cut.spans, key=lambda place: (place[0] not in compacted, place)):
        copy = _Copy(place, cut.spans[place], contiguous=place[0] not in compacted)
        key = key_of(*place)
        report(done, total)
        await archive.write(key, copy.file(source, lambda count, before=done: report(before + count, total)))  # type: ignore[misc]
        if place[0] in compacted and clock() - made_at > COMPACTION_LAG:
            raise Conflict(f"Copying {place[0]} took so long that compaction may have changed it; try again.")
        parts.append(copy.part(key))
        done += cut.spans[place].end - cut.spans[place].first
    report(total, total)
    manifest = Manifest(
        format=FORMAT,
        version=installation.version,
        made_at=made_at,
        app_id=installation.app_id,
        partitions=installation.partitions,
        settings=dict(installation.settings),
        parts=tuple(parts),
        committed=_committed(cut),
    )
    await archive.write(MANIFEST, _once(manifest.model_dump_json(indent=1).encode()))
    return manifest


async def read_manifest(archive: Archive) -> Manifest:
    """Return what a backup says it holds.

    Raises:
        BadInput: it does not say that.
        NotFound: there is no backup.
        Unavailable: the archive does not answer.
    """
    text = bytearray()
    try:
        async for part in archive.read(MANIFEST):
            text += part
            if len(text) > MOST_MANIFEST_BYTES:
                raise BadInput(f"The backup is damaged: {MANIFEST} has more than {MOST_MANIFEST_BYTES:,} bytes.")
        return Manifest.model_validate_json(bytes(text))
    except NotFound:
        raise NotFound("There is no backup in this place; one that was interrupted is none.") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, fault["loc"]))
        raise BadInput(f"The backup is damaged: {MANIFEST} is no manifest ({field}: {fault['msg']}).") from error


def _committed(cut: Cut) -> tuple[Committed, ...]:
    return tuple(
        Committed(group=group, topic=topic, partition=partition, offset=offset)
        for group, offsets in sorted(cut.committed.items())
        for (topic, partition), offset in sorted(offsets.items())
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@dataclass(slots=True)
class _Copy:
    """One partition on its way into the archive."""

    place: Place
    span: Span
    contiguous: bool
    first: int | None = None
    next: int = 0
    records: int = 0
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    async def file(self, source: LogSource, report: Callable[[int], None]) -> AsyncIterator[bytes]:
        """Yield the partition's file.

        Raises:
            Conflict: records were deleted while they were read.
        """
        compress = compressor()
        async for records in source.records(self.place, self.span):
            for record in records:
                gap = self.contiguous and self.first is not None and record.offset != self.next
                if gap and await source.first(self.place) > self.next:  # else: markers, or what is aborted or damaged
                    raise Conflict(f"Records of {self.place[0]} were deleted while they were copied; try again.")
                if self.first is None:
                    self.first = record.offset
                self.next = record.offset + 1
            self.records += len(records)
            report(self.next - self.span.first)
            if part := compress.compress(encoded(records)):
                yield self._counted(part)
        yield self._counted(compress.flush())

    def part(self, key: str) -> Part:
        """Return what the manifest says of it."""
        return Part(
            key=key,
            topic=self.place[0],
            partition=self.place[1],
            first=self.span.end if self.first is None else self.first,
            end=self.span.end,
            records=self.records,
            bytes=self.size,
            sha256=self.digest.hexdigest(),
        )

    def _counted(self, part: bytes) -> bytes:
        self.size += len(part)
        self.digest.update(part)
        return part
