"""The logs of jobs in the read model: in order, bounded, the same when records come again."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from soulcaster.adapters.redis import job_log_writer, keys
from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.domain.fixes.job_log import LogChunk, StepLine
from soulcaster.ports.job_logs import CHUNK_BYTES, Heartbeat, LogView
from tests.conftest import RedisServer
from tests.support.make import NOW, step

PLENTY = 1_000_000
SIZE = 100 + CHUNK_BYTES
"""What one chunk of `chunk` takes."""


def chunk(offset: int, text: str | None = None, *, token: int | None = None, job: str = "j1") -> LogChunk:
    """A chunk of 100 bytes, with an umlaut, at its second."""
    return LogChunk(job, token, NOW + timedelta(seconds=offset), f"{offset:097}ü\n" if text is None else text, offset)


async def everything(model: RedisReadModel, job: str = "j1") -> LogView:
    return await model.job_logs.read(job, 0, limit_bytes=PLENTY)


def offsets(view: LogView) -> list[int]:
    return [one.offset for one in view.chunks]


@pytest.fixture
def at_most_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a log, ten chunks are kept."""
    monkeypatch.setattr(job_log_writer, "MAX_LOG_BYTES", 10 * SIZE)
    monkeypatch.setattr(job_log_writer, "FRONT_CHUNKS", 2)


async def test_there_is_nothing_of_a_job_that_printed_nothing(read_model: RedisReadModel) -> None:
    assert await everything(read_model) == LogView([], more=False, dropped=0, is_gap=False)
    assert await read_model.job_logs.steps("j1") == []
    assert await read_model.job_logs.heartbeat("j1") is None
    await read_model.writer.put_job_logs("p1", [])


async def test_chunks_are_read_as_they_were_written(read_model: RedisReadModel) -> None:
    chunks = [chunk(3, "one\ntwo\n", token=7), chunk(4, 'für 😀 \\ "x"\n'), chunk(9, "\n"), chunk(5, job="j2")]
    await read_model.writer.put_job_logs("p1", chunks)
    assert list((await everything(read_model)).chunks) == chunks[:3]
    assert offsets(await everything(read_model, "j2")) == [5]


async def test_a_reader_goes_on_where_it_ended(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_logs("p1", [chunk(n) for n in range(0, 120, 2)])
    found: list[int] = []
    first, more = 0, True
    while more:
        view = await read_model.job_logs.read("j1", first, limit_bytes=700)
        assert len(view.chunks) <= 7
        found += offsets(view)
        first, more = view.chunks[-1].offset + 1, view.more
    assert found == list(range(0, 120, 2))
    await read_model.writer.put_job_logs("p1", [chunk(n) for n in range(1, 119, 2)])
    assert offsets(await everything(read_model)) == list(range(119))
    rest = await read_model.job_logs.read("j1", 102, limit_bytes=PLENTY)
    assert (offsets(rest)[0], rest.more) == (102, False)
    assert await read_model.job_logs.read("j1", 119, limit_bytes=9) == LogView([], more=False, dropped=0, is_gap=False)


async def test_only_the_logs_that_were_written_last_are_kept(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_log_writer, "MAX_LOGS", 2)
    await read_model.writer.put_job_logs("p2", [chunk(0, job="other")])
    await read_model.writer.put_job_logs("p1", [chunk(1), chunk(2, job="j2")])
    await read_model.writer.put_job_logs("p1", [chunk(3)])
    await read_model.writer.put_job_logs("p1", [chunk(4, job="j3", token=1)])
    kept = {job: offsets(await everything(read_model, job)) for job in ("j1", "j2", "j3", "other")}
    assert kept == {"j1": [1, 3], "j2": [], "j3": [4], "other": [0]}
    await read_model.writer.put_job_logs("p1", [chunk(n, job=f"j{n}") for n in range(5, 9)])
    kept = {job: offsets(await everything(read_model, job)) for job in ("j1", "j3", "j6", "j7", "j8")}
    assert kept == {"j1": [], "j3": [], "j6": [], "j7": [7], "j8": [8]}
    assert await read_model.job_logs.heartbeat("j3") is None


async def test_a_chunk_of_more_than_the_limit_is_read_alone(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_logs("p1", [chunk(1), chunk(2)])
    view = await read_model.job_logs.read("j1", 0, limit_bytes=1)
    assert (offsets(view), view.more) == ([1], True)


@pytest.mark.usefixtures("at_most_ten")
@pytest.mark.parametrize("at_once", [1, 3, 40])
async def test_the_newest_are_kept_and_the_dropped_are_counted(
    read_model: RedisReadModel, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(job_log_writer, "WRITTEN_AT_ONCE", 4 * SIZE)
    chunks = [chunk(n) for n in range(40)]
    for n in range(0, 40, at_once):
        await read_model.writer.put_job_logs("p1", chunks[n : n + at_once])
    assert await everything(read_model) == LogView(chunks[30:], more=False, dropped=3000, is_gap=True)
    behind = await read_model.job_logs.read("j1", 30, limit_bytes=PLENTY)
    assert (offsets(behind), behind.dropped, behind.is_gap) == (list(range(30, 40)), 3000, False)


@pytest.mark.usefixtures("at_most_ten")
async def test_records_that_come_again_change_nothing(read_model: RedisReadModel) -> None:
    chance = random.Random(7)
    chunks = [chunk(n, token=10 * (1 + n // 20)) for n in range(40)]
    done = 0
    while done < len(chunks):
        end = min(len(chunks), done + chance.randint(1, 6))
        await read_model.writer.put_job_logs("p1", chunks[chance.randint(0, done) : end])  # from any earlier one on
        done = end
    assert await everything(read_model) == LogView(chunks[30:], more=False, dropped=3000, is_gap=True)
    assert await read_model.job_logs.heartbeat("j1") == Heartbeat(chunks[-1].at, 20)


@pytest.mark.usefixtures("at_most_ten")
@pytest.mark.parametrize("newest", [36, 30])
async def test_a_rebuild_beside_a_worker_ends_with_the_same_log(read_model: RedisReadModel, newest: int) -> None:
    """The worker has written the newest chunks before the rebuild comes to the older ones."""
    chunks = [chunk(n) for n in range(40)]
    await read_model.writer.put_job_logs("p1", chunks[newest:])
    for n in range(0, 40, 5):
        await read_model.writer.put_job_logs("p1", chunks[n : n + 5])
    view = await everything(read_model)
    assert (offsets(view), view.dropped) == (list(range(30, 40)), 3000)


async def test_what_a_replaced_launch_writes_is_left_out(read_model: RedisReadModel) -> None:
    old = [chunk(1, token=5), chunk(4, token=5)]
    await read_model.writer.put_job_logs("p1", [old[0], chunk(2, token=9), chunk(3), old[1]])
    assert offsets(await everything(read_model)) == [1, 2, 3]
    await read_model.writer.put_job_logs("p1", old)
    assert offsets(await everything(read_model)) == [1, 2, 3]
    assert await read_model.job_logs.heartbeat("j1") == Heartbeat(chunk(2).at, 9)


async def test_a_heartbeat_is_the_newest_of_the_newest_launch(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_logs("p1", [chunk(1, "", token=5), chunk(3, token=5), chunk(2, "", token=5)])
    assert await read_model.job_logs.heartbeat("j1") == Heartbeat(chunk(3).at, 5)
    await read_model.writer.put_job_logs("p1", [chunk(4)])  # written by no launch
    assert await read_model.job_logs.heartbeat("j1") == Heartbeat(chunk(3).at, 5)
    assert offsets(await everything(read_model)) == [3, 4]


async def test_lines_of_steps_are_read_in_order(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_steps([step(2, "running", log="b"), step(0, "pending", log="a"), step(3, log=None)])
    at = [NOW + timedelta(seconds=seconds) for seconds in (0, 2)]
    assert await read_model.job_logs.steps("j1") == [StepLine(at[0], "a"), StepLine(at[1], "b")]


async def expiry(redis: Redis) -> Sequence[int]:
    return [await redis.pttl(key) for key in (keys.job_log("j1"), keys.job_log_state("j1"))]


async def test_a_log_expires_after_its_last_chunk(
    redis_server: RedisServer, redis_url: str, read_model: RedisReadModel
) -> None:
    now = datetime.now(UTC)
    new, old = LogChunk("j1", 1, now, "x\n", 2), LogChunk("j1", 1, now - timedelta(hours=2), "x\n", 1)
    brief, for_ever = RedisReadModel(RedisAccess(redis_url), logs_expire=timedelta(hours=1)), read_model
    try:
        async with Redis.from_url(redis_server.url) as redis:
            await brief.writer.put_job_logs("p1", [old])
            assert (await everything(brief)).chunks == [], "its hour is over"
            await brief.writer.put_job_logs("p1", [new])
            assert all(0 < milliseconds <= 3_600_000 for milliseconds in await expiry(redis))
            await for_ever.writer.put_job_logs("p1", [new])
            assert await expiry(redis) == [-1, -1]
    finally:
        await brief.close()


async def test_a_rebuild_clears_logs(read_model: RedisReadModel) -> None:
    await read_model.writer.put_job_logs("p1", [chunk(1, token=3)])
    await read_model.writer.clear()
    assert (await everything(read_model)).chunks == []
    assert await read_model.job_logs.heartbeat("j1") is None
