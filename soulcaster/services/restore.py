"""A backup written into an empty Kafka.

Topics that are not compacted get the same offsets again: the ids of items without an external id, the fencing tokens of
jobs and the positions in logs are offsets. Where there was no record, but a marker of a transaction or what could not
be read, an empty one takes the place. Compacted topics are numbered anew, and what groups had committed of them is
counted again.

A job that was under way is not started a second time: the launchers go on after the last fix command of the backup, and
each such job ends as failed, with this reason. What people had asked for and no clusterer had taken yet is done.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from pydantic import ValidationError

from soulcaster.domain.lifecycle import Job, active, advance, start
from soulcaster.errors import BadInput, Conflict
from soulcaster.ports.archive import Archive
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.topic_copy import CopiedRecord, LogTarget, Place
from soulcaster.services.backup import Report, read_manifest
from soulcaster.services.backup_check import check_fits, verify
from soulcaster.services.backup_format import Decoder, Manifest, Part
from soulcaster.services.job_steps import JobSteps
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import FIX_COMMANDS, JOB_EVENTS, all_topics, launcher_group

BATCH_RECORDS = 1_000


async def restore(
    app_id: str,
    partitions: int,
    archive: Archive,
    target: LogTarget,
    publisher: Publisher,
    clock: Clock,
    report: Report,
) -> tuple[Manifest, int]:
    """Write a backup into empty topics; return its manifest, and how many jobs were ended.

    Every file is read to its last record and compared with the manifest before anything is written.

    Raises:
        BadInput: the backup is damaged, or it is of an installation with another app id or number of partitions.
        Conflict: the topics are not empty.
        NotFound: there is no backup.
        Unavailable: Kafka or the archive does not answer; delete the topics and begin again.
    """
    manifest = await read_manifest(archive)
    check_fits(manifest, app_id, partitions)
    await target.check_empty()
    total = 2 * sum(part.bytes for part in manifest.parts)
    progress = _Progress(report, total)
    compacted = {topic.name for topic in all_topics(app_id) if topic.cleanup == "compact"}
    for part in manifest.parts:
        await verify(part, archive, compacted, target.most_record_bytes, progress.add)
    jobs = _Jobs()
    committed: dict[str, dict[Place, int]] = defaultdict(dict)
    for part in manifest.parts:
        place = (part.topic, part.partition)
        wanted = {c.group: c.offset for c in manifest.committed if (c.topic, c.partition) == place}
        if part.topic in compacted:
            before = await _write(part, archive, target, progress, jobs, wanted)
            end = part.records
        else:
            await target.begin_at(place, part.first)
            await _write(part, archive, target, progress, jobs, {}, same_offsets=True)
            before, end = wanted, part.end
        if await target.end(place) != end:
            raise Conflict(f"Something else wrote to {part.topic}; delete the topics and restore again.")
        for group, offset in before.items():
            committed[group][place] = offset
        if part.topic == FIX_COMMANDS.name:
            committed[launcher_group(app_id)][place] = end
    ended = await jobs.end_those_under_way(manifest, JobSteps(publisher, clock))
    for group, offsets in committed.items():
        await target.commit(group, offsets)
    return manifest, ended


async def _write(
    part: Part,
    archive: Archive,
    target: LogTarget,
    progress: "_Progress",
    jobs: "_Jobs",
    wanted: dict[str, int],
    *,
    same_offsets: bool = False,
) -> dict[str, int]:
    """Write a partition; return how many of its records each group had read, by the `wanted` offsets."""
    before = dict.fromkeys(wanted, 0)
    count = 0
    place = (part.topic, part.partition)
    next_offset = part.first
    async for records in _records(part, archive, progress):
        await _append(target, place, _without_gaps(next_offset, records) if same_offsets else records)
        next_offset = records[-1].offset + 1
        count += len(records)
        for group, offset in wanted.items():
            before[group] += sum(record.offset < offset for record in records)
        if part.topic == JOB_EVENTS.name:
            jobs.take(records)
    if same_offsets:
        await _append(target, place, _empty(next_offset, part.end))
    if count != part.records:
        raise BadInput(f"The backup is damaged: {part.key} has {count} records, not {part.records}.")
    return before


async def _append(target: LogTarget, place: Place, records: Iterable[CopiedRecord]) -> None:
    coming = iter(records)
    while batch := list(islice(coming, BATCH_RECORDS)):
        await target.write(place, batch)


def _without_gaps(next_offset: int, records: Sequence[CopiedRecord]) -> Iterator[CopiedRecord]:
    """Yield records from an offset on, with an empty one at each offset in between that has none."""
    for record in records:
        yield from _empty(next_offset, record.offset)
        yield record
        next_offset = record.offset + 1


def _empty(first: int, end: int) -> Iterator[CopiedRecord]:
    return (CopiedRecord(offset, 0, None, b"") for offset in range(first, end))


async def _records(part: Part, archive: Archive, progress: "_Progress") -> AsyncIterator[list[CopiedRecord]]:
    decoder = Decoder()
    async for data in archive.read(part.key):
        progress.add(len(data))
        for records in decoder.feed(data):
            yield records
    decoder.finish()


class _Progress:
    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        self._report(self._done, self._total)


class _Jobs:
    """The jobs of a backup, as their events make them."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def take(self, records: list[CopiedRecord]) -> None:
        """Apply records of job.events; one that is no message is a dead letter already."""
        for record in records:
            try:
                step = JobEvent.model_validate_json(record.value or b"").step(record.offset)
            except ValidationError:
                continue
            known = self._jobs.get(step.job_id)
            self._jobs[step.job_id] = start(step) if known is None else advance(known, step)

    async def end_those_under_way(self, manifest: Manifest, steps: JobSteps) -> int:
        """End the jobs that a launcher had taken or was to take; return how many.

        A job that waits for approval goes on waiting. One without a fix is run and reported by somebody else.
        """
        under_way = [job for job in self._jobs.values() if active(job) and job.state != "queued" and job.fix]
        error = f"restored from a backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC; the job was under way then"
        for job in under_way:
            await steps.publish(steps.next(job, "failed", key="restore", error=error, log=error))
        return len(under_way)
