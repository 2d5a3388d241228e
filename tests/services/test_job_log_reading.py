"""Following a log: what the pages and the API share."""

import pytest

from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.fixes.log_position import BlobPosition, LogPosition, MemoryPosition, position_of
from soulcaster.services import job_log_reading
from soulcaster.services.job_log_reading import JobLogReading, LogPart
from tests.support.make import step


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log_reading, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(job_log_reading, "QUIET_SECONDS", 0.02)


@pytest.fixture
def reading(read_model: RedisReadModel) -> JobLogReading:
    return JobLogReading(read_model.job_logs, read_model.jobs, archive=None)


async def parts(reading: JobLogReading, seconds: float) -> list[LogPart]:
    with reading.following("me") as follower:
        return [part async for part in reading.parts(follower, "j1", MemoryPosition(), seconds=seconds)]


async def test_a_job_that_is_not_there_has_not_ended(reading: JobLogReading) -> None:
    """The read model is being rebuilt."""
    assert await parts(reading, 0.05) == []


async def test_a_job_that_has_ended_and_printed_nothing_ends(
    read_model: RedisReadModel, reading: JobLogReading
) -> None:
    await read_model.writer.put_job_steps([step(0, "failed", log=None)])
    assert await parts(reading, 20) == [LogPart("memory", (), MemoryPosition(), more=False)]


async def test_who_follows_after_it_closed_gets_nothing(read_model: RedisReadModel, reading: JobLogReading) -> None:
    await read_model.writer.put_job_steps([step(0, "failed", log="line")])
    reading.close()
    assert await parts(reading, 20) == []


@pytest.mark.parametrize("position", [MemoryPosition(), MemoryPosition(17, 4), BlobPosition(), BlobPosition(5)])
def test_a_position_is_read_as_it_was_written(position: LogPosition) -> None:
    assert position_of(str(position)) == position


@pytest.mark.parametrize("text", [None, "", "x", "blob.x", "1", "1.2\n", "٣.٣"])
def test_what_is_no_position_is_the_beginning(text: str | None) -> None:
    assert position_of(text) == MemoryPosition()
