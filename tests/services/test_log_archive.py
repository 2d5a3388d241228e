"""The whole log of a job, put together from Kafka once, and read again in parts."""

import gzip
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest

from soulcaster.errors import KafkaUnavailable, NotFound
from soulcaster.ports.messaging import Record
from soulcaster.services.log_archive import CLOCK_SKEW_MS, LogArchiver, archive_key, read_archived
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.jobs import JobEvent
from soulcaster.wire.topics import FIX_COMMANDS
from tests.support.archive import MemoryArchive
from tests.support.make import NOW

AT_MS = int(NOW.timestamp() * 1000)
ASKED = Record(FIX_COMMANDS.name, 3, 0, AT_MS, b"p1", b"")


class Topics:
    """A Kafka with these records, in batches; while it is `away`, it answers only the first batch."""

    def __init__(self, *batches: Sequence[Record]) -> None:
        self.batches = batches
        self.away = False
        self.read: list[tuple[str, int, int]] = []

    async def since(self, topic: str, partition: int, since_ms: int) -> AsyncGenerator[Sequence[Record], None]:
        self.read.append((topic, partition, since_ms))
        for batch in self.batches:
            if found := [record for record in batch if record.topic == topic]:
                yield found
            if self.away:
                raise KafkaUnavailable


def printed(offset: int, text: str, *, seconds: float, token: int | None = None, job: str = "j1") -> Record:
    at = NOW + timedelta(seconds=seconds)
    log = JobLog(job_id=job, project_id="p1", token=token, at=at, text=text)
    return Record("job.logs", 3, offset, AT_MS, b"p1", log.to_bytes())


def stepped(seq: int, log: str | None, *, seconds: float, job: str = "j1") -> Record:
    event = JobEvent(
        job_id=job,
        project_id="p1",
        cluster_id="c1",
        seq=seq,
        status="running",
        at=NOW + timedelta(seconds=seconds),
        log=log,
    )
    return Record("job.events", 3, seq, AT_MS, b"p1", event.to_bytes())


TOPICS = (
    [
        stepped(2, "it runs", seconds=2),
        stepped(1, "asked for", seconds=0),
        stepped(2, "it runs", seconds=2),
        stepped(3, None, seconds=3),
        stepped(4, "it is done", seconds=9),
        stepped(5, "of another job", seconds=1, job="j2"),
        printed(10, "one\ntwo\n", seconds=1, token=7),
        printed(11, "j1 of another job\n", seconds=1, job="j2"),
        Record("job.logs", 3, 12, AT_MS, b"p1", b"j1: this is no log"),
        Record("job.events", 3, 12, AT_MS, b"p1", None),
    ],
    [
        printed(13, "", seconds=3, token=9),
        printed(14, "of an old launch\n", seconds=4, token=7),
        printed(15, "für alle\n", seconds=5, token=9),
    ],
)
WHOLE = "asked for\none\ntwo\nit runs\nfür alle\nit is done\n"


async def test_a_log_is_archived_whole_and_in_order() -> None:
    topics, archive = Topics(*TOPICS), MemoryArchive()
    assert await LogArchiver(topics, archive).archive("p1", "j1", ASKED) == "memory:p1/j1.log.gz"
    assert gzip.decompress(archive.kept[archive_key("p1", "j1")]).decode() == WHOLE
    assert set(topics.read) == {(name, 3, AT_MS - CLOCK_SKEW_MS) for name in ("job.events", "job.logs")}


async def test_it_is_archived_once() -> None:
    archive = MemoryArchive()
    first = await LogArchiver(Topics(*TOPICS), archive).archive("p1", "j1", ASKED)
    kept = dict(archive.kept)
    later = Topics(*TOPICS, [printed(16, "too late\n", seconds=10, token=9)])
    assert await LogArchiver(later, archive).archive("p1", "j1", ASKED) == first
    assert archive.kept == kept
    assert later.read == []
    other = MemoryArchive()
    await LogArchiver(Topics([record for batch in TOPICS for record in batch]), other).archive("p1", "j1", ASKED)
    assert other.kept == kept, "of two launchers that archive at once either may be the last"


async def test_a_job_that_printed_nothing_has_an_empty_log() -> None:
    archive = MemoryArchive()
    await LogArchiver(Topics(), archive).archive("p1", "j1", ASKED)
    assert await read_archived(archive, archive_key("p1", "j1"), 0, 10) == (b"", False)


async def test_half_a_log_is_not_kept() -> None:
    topics, archive = Topics(*TOPICS), MemoryArchive()
    topics.away = True
    with pytest.raises(KafkaUnavailable):
        await LogArchiver(topics, archive).archive("p1", "j1", ASKED)
    assert archive.kept == {}
    topics.away = False
    await LogArchiver(topics, archive).archive("p1", "j1", ASKED)
    assert gzip.decompress(archive.kept[archive_key("p1", "j1")]).decode() == WHOLE


@pytest.mark.parametrize("limit", [1, 7, 1_000, 10_000_000])
async def test_it_is_read_in_parts(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soulcaster.services.log_archive.INFLATED_AT_ONCE", 100)
    archive = MemoryArchive()
    text = "".join(f"{n:05}\n" for n in range(5_000)) if limit > 7 else "a log of 21 characters"
    archive.put("p1/j1.log.gz", text)
    found, more = b"", True
    while more:
        part, more = await read_archived(archive, "p1/j1.log.gz", len(found), limit)
        assert len(part) == limit if more else len(part) <= limit
        found += part
    assert found.decode() == text
    assert await read_archived(archive, "p1/j1.log.gz", len(found), limit) == (b"", False)


async def test_there_is_nothing_of_another_job() -> None:
    with pytest.raises(NotFound):
        await read_archived(MemoryArchive(), "p1/j1.log.gz", 0, 10)
