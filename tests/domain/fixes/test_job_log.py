"""The log of a job: chunks, the lines of its steps among them, and what an old launch still writes."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes import job_log
from soulcaster.domain.fixes.job_log import WRITTEN_BYTES, LaunchMark, LogChunk, LogFence, StepLine, chunks_of, merged
from tests.support.make import NOW


def chunk(offset: int, text: str = "line\n", *, token: int | None = None, seconds: float = 0) -> LogChunk:
    return LogChunk("j1", token, NOW + timedelta(seconds=seconds), text, offset)


def step(text: str, seconds: float) -> StepLine:
    return StepLine(NOW + timedelta(seconds=seconds), text)


def test_a_text_is_cut_between_lines() -> None:
    line = "x" * 1023 + "\n"
    found = list(chunks_of(line * 600))
    assert "".join(found) == line * 600
    assert [len(one) for one in found] == [WRITTEN_BYTES] * 9 + [600 * 1024 - 9 * WRITTEN_BYTES]
    assert list(chunks_of("")) == []


@given(st.text("aé€😀\n", max_size=60))
def test_every_chunk_is_small_whole_lines_and_nothing_is_lost(text: str) -> None:
    limit, job_log.WRITTEN_BYTES = job_log.WRITTEN_BYTES, 16
    try:
        found = list(chunks_of(f"{text}\n"))
    finally:
        job_log.WRITTEN_BYTES = limit
    assert "".join(found).replace("\n", "") == text.replace("\n", "")
    assert all(one.endswith("\n") for one in found)
    assert all(len(one.encode()) <= 16 + 1 for one in found)


def test_lines_of_steps_are_between_the_chunks_by_time() -> None:
    chunks = [chunk(1, "a\n", seconds=1), chunk(2, "", seconds=2), chunk(3, "b\n", seconds=5)]
    steps = [step("first", 0), step("second", 1), step("third", 3), step("last", 9)]
    assert list(merged(chunks, steps)) == ["first\n", "second\n", "a\n", "third\n", "b\n", "last\n"]


def test_what_an_old_launch_writes_after_a_newer_one_is_outdated() -> None:
    fence = LogFence()
    told = [(1, 10), (2, 10), (3, None), (4, 20), (5, 10), (6, None), (7, 20)]
    assert [fence.is_outdated(chunk(offset, token=token)) for offset, token in told] == [False] * 4 + [
        True,
        False,
        False,
    ]
    assert fence.first_offsets() == ((10, 1), (20, 4))


def test_what_it_wrote_in_its_time_stays_when_it_comes_again() -> None:
    fence = LogFence([(10, 1), (20, 4)])
    assert not fence.is_outdated(chunk(2, token=10))
    assert fence.is_outdated(chunk(5, token=10))


def test_what_an_old_launch_writes_after_the_present_one_began_is_outdated() -> None:
    fence = LogFence(present=LaunchMark(20, NOW))
    assert not fence.is_outdated(chunk(1, token=10, seconds=-1))
    assert fence.is_outdated(chunk(2, token=10, seconds=1))
    assert not fence.is_outdated(chunk(3, token=20, seconds=1))
    assert not fence.is_outdated(chunk(4, token=30, seconds=2)), "a launch that is not known here yet"
