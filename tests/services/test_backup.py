"""A log that is copied to an archive and back, in memory; tests/integration/test_backup.py does it on a real Kafka."""

import hashlib
import json
import re
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.lifecycle import JobState, JobStep, advance, start
from soulcaster.errors import ArchiveUnavailable, BadInput, Conflict, NotFound
from soulcaster.ports.archive import Archive
from soulcaster.ports.topic_copy import CopiedRecord, Place, Span
from soulcaster.services.backup import Installation, back_up
from soulcaster.services.backup_format import MANIFEST, Decoder, Manifest, compressor, encoded, key_of
from soulcaster.services.restore import restore
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import (
    CONTROL,
    FEEDBACK_RAW,
    FIX_COMMANDS,
    JOB_EVENTS,
    all_topics,
    changelog,
    launcher_group,
)
from tests.support.archive import MemoryArchive
from tests.support.make import NOW
from tests.support.publisher import RecordingPublisher
from tests.support.topic_copy import MemoryLog

APP, PARTITIONS = "app", 2
PLACES: list[Place] = [(topic.name, p) for topic in all_topics(APP) for p in range(PARTITIONS)]
INSTALLATION = Installation(APP, PARTITIONS, "1.2.3", {"partitions": "2"})

optional_bytes = st.none() | st.binary(max_size=40)
records = st.builds(
    CopiedRecord,
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    optional_bytes,
    optional_bytes,
    st.lists(st.tuples(st.text(max_size=9), optional_bytes), max_size=3).map(tuple),
)


@given(st.lists(records, max_size=20), st.integers(1, 50))
def test_what_is_encoded_is_decoded_in_whatever_pieces_it_comes(given: Sequence[CopiedRecord], size: int) -> None:
    pack = compressor()
    data = pack.compress(encoded(given)) + pack.flush()
    decoder = Decoder()
    found = [one for at in range(0, len(data), size) for some in decoder.feed(data[at : at + size]) for one in some]
    decoder.finish()
    assert found == list(given)


def test_what_ends_too_early_is_no_backup() -> None:
    pack = compressor()
    data = pack.compress(encoded([CopiedRecord(0, 0, b"key", b"value" * 99)])) + pack.flush()
    decoder = Decoder()
    list(decoder.feed(data[:-5]))
    with pytest.raises(BadInput):
        decoder.finish()


def record(offset: int, value: bytes = b"{}") -> CopiedRecord:
    return CopiedRecord(offset, 1_700_000_000_000 + offset, b"k", value, (("reason", b"why"), ("none", None)))


def step(job: str, state: JobState, seq: int, **more: object) -> JobStep:
    return JobStep(f"{job}-{seq}", job, "p1", "c1", seq, state, NOW + timedelta(seconds=seq), **more)  # type: ignore[arg-type]


def a_log() -> MemoryLog:
    """Feedback whose first records have expired, compacted control, jobs in every state, and committed offsets."""
    log = MemoryLog(PLACES)
    log.put((FEEDBACK_RAW.name, 0), *[record(offset) for offset in range(7, 12)])
    log.put((CONTROL.name, 1), record(3), record(8), record(9))
    log.put((changelog(APP, "seen").name, 0), record(0), record(40))
    log.put((FIX_COMMANDS.name, 0), record(0), record(1))
    fix = Fix("job", "c1", "Late card", "kim", NOW)
    steps = [
        step("queued", "queued", 0, fix=fix),
        step("approved", "approved", 1, fix=fix),
        step("running", "approved", 2, fix=fix),
        step("running", "running", 3),
        step("done", "approved", 4, fix=fix),
        step("done", "succeeded", 5),
        step("recorded", "approved", 6),
    ]
    values = [JobEvent.of(one).to_bytes() for one in steps]
    log.put((JOB_EVENTS.name, 0), *[record(n, value) for n, value in enumerate([*values, b"poison"])])
    log.groups = {
        APP: {(FEEDBACK_RAW.name, 0): 9, (CONTROL.name, 1): 9, (JOB_EVENTS.name, 0): 8},
        launcher_group(APP): {(FIX_COMMANDS.name, 0): 1},
    }
    return log


async def backed_up(log: MemoryLog, archive: Archive) -> Manifest:
    return await back_up(INSTALLATION, log, archive, lambda: NOW, lambda _done, _total: None)


async def restored(archive: Archive, target: MemoryLog, publisher: RecordingPublisher | None = None) -> int:
    _, ended = await restore(
        APP, PARTITIONS, archive, target, publisher or RecordingPublisher(), lambda: NOW, lambda _done, _total: None
    )
    return ended


async def test_everything_comes_back_at_the_same_offsets() -> None:
    log, archive, target = a_log(), MemoryArchive(), MemoryLog(PLACES)
    manifest = await backed_up(log, archive)
    assert {(part.topic, part.partition) for part in manifest.parts} == set(PLACES)
    assert sum(part.records for part in manifest.parts) == sum(map(len, log.kept.values()))
    await restored(archive, target)
    for place in PLACES:
        if place[0] in {CONTROL.name, changelog(APP, "seen").name}:
            values = [(one.timestamp_ms, one.key, one.value, one.headers) for one in log.kept[place]]
            assert [(one.timestamp_ms, one.key, one.value, one.headers) for one in target.kept[place]] == values
        else:
            assert target.kept[place] == log.kept[place]
    assert target.groups[APP] == {(FEEDBACK_RAW.name, 0): 9, (CONTROL.name, 1): 2, (JOB_EVENTS.name, 0): 8}


async def test_what_was_under_way_is_not_started_again() -> None:
    log, archive, target, publisher = a_log(), MemoryArchive(), MemoryLog(PLACES), RecordingPublisher()
    await backed_up(log, archive)
    assert await restored(archive, target, publisher) == 2
    ends = [JobEvent.model_validate_json(message.value).step(100 + n) for n, message in enumerate(publisher.sent)]
    assert {(one.job_id, one.state) for one in ends} == {("approved", "failed"), ("running", "failed")}
    assert all("backup" in (one.error or "") for one in ends)
    running = advance(advance(start(step("running", "approved", 2)), step("running", "running", 3)), ends[1])
    assert running.state == "failed"
    assert target.groups[launcher_group(APP)] == {(FIX_COMMANDS.name, 0): 2, (FIX_COMMANDS.name, 1): 0}


async def test_times_without_a_zone_stop_no_restore() -> None:
    """Whoever may write to job.events would keep every backup from being restored."""
    log, archive, target = a_log(), MemoryArchive(), MemoryLog(PLACES)
    sights = [
        {"state": "open", "as_of": "2026-01-01T00:00:00" + zone, "merged_at": None} for zone in ("Z", "", "+01:00")
    ]
    step = {"job_id": "x", "project_id": "p1", "cluster_id": "c1", "status": "running", "at": "2026-01-01T00:00:00"}
    log.put(
        (JOB_EVENTS.name, 1),
        *(record(n, json.dumps({**step, "seq": n, "pr_sight": sight}).encode()) for n, sight in enumerate(sights)),
    )
    await backed_up(log, archive)
    assert await restored(archive, target) == 2


async def test_a_half_backup_is_none() -> None:
    log, archive = a_log(), MemoryArchive()

    async def broken(place: Place, span: object) -> object:
        archive.away = True
        raise ArchiveUnavailable
        yield

    log.records = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(ArchiveUnavailable):
        await backed_up(log, archive)
    archive.away = False
    with pytest.raises(NotFound, match="no backup"):
        await restored(archive, MemoryLog(PLACES))
    await backed_up(a_log(), archive)
    await restored(archive, MemoryLog(PLACES))
    with pytest.raises(Conflict, match="already"):
        await backed_up(a_log(), archive)


async def test_damage_is_found_before_anything_is_written() -> None:
    archive = MemoryArchive()
    manifest = await backed_up(a_log(), archive)
    key = next(part.key for part in manifest.parts if part.topic == JOB_EVENTS.name and part.records)
    archive.kept[key] = archive.kept[key][:-1] + bytes([archive.kept[key][-1] ^ 1])
    target = MemoryLog(PLACES)
    with pytest.raises(BadInput, match=f"{key} is not what was written"):
        await restored(archive, target)
    assert not any(target.kept.values())
    del archive.kept[key]
    with pytest.raises(NotFound):
        await restored(archive, target)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("app_id", "other", "SOULCASTER_APP_ID=other"),
        ("partitions", 9, "SOULCASTER_PARTITIONS=9"),
        ("format", 2, "format 2"),
    ],
)
async def test_a_backup_that_does_not_fit_is_refused(field: str, value: object, words: str) -> None:
    archive = MemoryArchive()
    await backed_up(a_log(), archive)
    archive.kept[MANIFEST] = json.dumps({**json.loads(archive.kept[MANIFEST]), field: value}).encode()
    with pytest.raises(BadInput, match=words):
        await restored(archive, MemoryLog(PLACES))


async def changed(change: Callable[[dict[str, Any]], object]) -> MemoryArchive:
    """Return a backup whose manifest somebody has changed."""
    archive = MemoryArchive()
    await backed_up(a_log(), archive)
    manifest = json.loads(archive.kept[MANIFEST])
    change(manifest)
    archive.kept[MANIFEST] = json.dumps(manifest).encode()
    return archive


def raw_part(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(p for p in manifest["parts"] if (p["topic"], p["partition"]) == (FEEDBACK_RAW.name, 0))
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.clear(), "manifest.json is no manifest"),
        (lambda m: m.update(parts=7), "parts: Input should be"),
        (lambda m: raw_part(m).update(key="../../etc/passwd"), "not kept under '../../etc/passwd'"),
        (lambda m: raw_part(m).update(key="topics/control/1"), "not kept under"),
        (lambda m: raw_part(m).update(end=10**12), "to 1000000000000"),
        (lambda m: raw_part(m).update(end=10**10), "offsets have no record"),
        (lambda m: raw_part(m).update(first=-1), "from offset -1"),
        (lambda m: raw_part(m).update(first=12, records=0), "has the offset 7 where 12 is next"),
        (lambda m: raw_part(m).update(end=11, records=4), "has the offset 11"),
        (lambda m: raw_part(m).update(records=4), "has 5 records, not 4"),
        (lambda m: m["parts"].append(raw_part(m)), "each of the 2 partitions of feedback.raw once"),
        (lambda m: m["parts"].remove(raw_part(m)), "each of the 2 partitions of feedback.raw once"),
        (lambda m: raw_part(m).update(partition=7, key="topics/feedback.raw/7"), "each of the 2 partitions"),
        (lambda m: m["committed"][0].update(group="somebody"), "a group 'somebody'"),
        (lambda m: m["committed"][0].update(offset=10**9), "up to 1000000000"),
        (lambda m: m["committed"][0].update(offset=-5), "up to -5"),
    ],
)
async def test_a_manifest_that_somebody_changed_restores_nothing(
    change: Callable[[dict[str, Any]], object], words: str
) -> None:
    archive, target = await changed(change), MemoryLog(PLACES)
    with pytest.raises(BadInput, match=re.escape(words)):
        await restored(archive, target)
    assert (any(target.kept.values()), target.groups, dict(target.firsts)) == (False, {}, {})


def packed(*parts: bytes) -> bytes:
    pack = compressor()
    return pack.compress(b"".join(parts)) + pack.flush()


_HEAD = struct.Struct(">qqiiI")
RECORD = encoded([record(7)])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: packed(RECORD, RECORD), "the offset 7 where 8 is next"),
        (lambda: packed(_HEAD.pack(7, 0, -30, 2, 0), b"{}"), "has -30 bytes"),
        (lambda: packed(_HEAD.pack(7, 0, -1, -2, 0)), "has -2 bytes"),
        (lambda: packed(_HEAD.pack(7, 0, -1, 2**31 - 1, 0), b"{}"), "a record has more than"),
        (lambda: packed(_HEAD.pack(7, 0, -1, -1, 2**32 - 1), b"\0" * 8 * 20), "ends too early"),
        (lambda: packed(_HEAD.pack(7, 0, -1, 2_000_000, 0), bytes(2_000_000)), "has more than 1,000,000 bytes"),
        (lambda: packed(bytes(300_000_000)), "the offset 0 where 7 is next"),
        (lambda: packed(RECORD) + b"more", "something follows"),
        (lambda: packed(RECORD)[:-3], "ends too early"),
        (lambda: packed(RECORD, b"\0"), "ends too early"),
        (lambda: RECORD, "cannot be read"),
        (lambda: packed(RECORD), "has 1 records, not 5"),
    ],
)
async def test_records_that_somebody_changed_restore_nothing(made: Callable[[], bytes], words: str) -> None:
    """The manifest says that all is well: whoever writes the files writes their digests, too."""
    file = made()
    digest = {"bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    archive = await changed(lambda manifest: raw_part(manifest).update(digest))
    archive.kept[key_of(FEEDBACK_RAW.name, 0)] = file
    target = MemoryLog(PLACES)
    tracemalloc.start()
    with pytest.raises(BadInput, match=re.escape(words)):
        await restored(archive, target)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert (any(target.kept.values()), target.groups, dict(target.firsts)) == (False, {}, {})


async def test_only_an_empty_kafka_is_restored_into() -> None:
    archive = MemoryArchive()
    await backed_up(a_log(), archive)
    with pytest.raises(Conflict):
        await restored(archive, a_log())


async def test_records_that_are_deleted_while_they_are_copied_are_noticed() -> None:
    log = a_log()
    place = (FEEDBACK_RAW.name, 0)
    log.kept[place].pop(2)
    ask = log.records

    def deleting(asked: Place, span: Span) -> AsyncIterator[Sequence[CopiedRecord]]:
        log.firsts[place] = log.kept[place][2].offset
        return ask(asked, span)

    log.records = deleting  # type: ignore[assignment, method-assign]
    with pytest.raises(Conflict, match="deleted while"):
        await backed_up(log, MemoryArchive())


async def test_offsets_without_a_record_are_kept() -> None:
    log, target, archive = a_log(), MemoryLog(PLACES), MemoryArchive()
    place = (FEEDBACK_RAW.name, 0)
    gone = log.kept[place].pop(2)  # a marker of a transaction, or a batch that cannot be read
    log.put(place, CopiedRecord(log.kept[place][-1].offset + 3, 1, None, b"after two markers"))
    await backed_up(log, archive)
    await restored(archive, target)
    copied = {one.offset: one.value for one in target.kept[place]}
    assert {one.offset: one.value for one in log.kept[place]}.items() <= copied.items()
    empty = copied.keys() - {one.offset for one in log.kept[place]}
    assert empty == {gone.offset, log.kept[place][-1].offset - 1, log.kept[place][-1].offset - 2}
    assert {copied[offset] for offset in empty} == {b""}
