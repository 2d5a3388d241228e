"""The log of a job: what its program and those who run it print, chunk by chunk."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.splitting import split_by_bytes

MAX_CHUNK_BYTES = 256 * 1024
"""UTF-8 bytes of a chunk's text."""

WRITTEN_BYTES = 64 * 1024
"""UTF-8 bytes of a chunk that we write: a reader gets whole chunks."""

_MAX_BYTES_PER_CHAR = 4


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Whole lines of a job's log, with the offset of their record on job.logs.

    `token` is the fencing token of the launch that wrote them, None for lines of others than a job's program. Without
    text, a chunk is a heartbeat: it says that the program runs.
    """

    job_id: str
    token: int | None
    at: datetime
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class StepLine:
    """The log line of a step of a job."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class LaunchMark:
    """The present launch of a job: its fencing token, and when it began."""

    token: int
    at: datetime


class LogFence:
    """Tells which chunks come from a launch that a newer one has replaced.

    Tokens are offsets on job.events, so a newer launch has a greater one. A chunk is outdated if one with a greater
    token comes before it on job.logs, or if it was written after the present launch had begun. What an earlier launch
    wrote in its time stays.
    """

    def __init__(self, first_offsets: Iterable[tuple[int, int]] = (), present: LaunchMark | None = None) -> None:
        """`first_offsets` has the tokens seen on job.logs so far, each with the offset of its first chunk."""
        self._first_offsets = dict(first_offsets)
        self._present = present

    def is_outdated(self, chunk: LogChunk) -> bool:
        """Return whether a chunk is outdated, and take note of its token if it is not."""
        token, present = chunk.token, self._present
        if token is None:
            return False
        if present is not None and token < present.token and chunk.at >= present.at:
            return True
        if any(seen > token and first < chunk.offset for seen, first in self._first_offsets.items()):
            return True
        self._first_offsets[token] = min(chunk.offset, self._first_offsets.get(token, chunk.offset))
        return False

    def first_offsets(self) -> tuple[tuple[int, int], ...]:
        """Return the tokens seen by now, each with the offset of its first chunk."""
        return tuple(sorted(self._first_offsets.items()))


def chunks_of(text: str) -> Iterator[str]:
    """Yield text in chunks of at most `WRITTEN_BYTES`, cut between lines; a longer line is cut where it must be."""
    lines = [part for line in text.splitlines(keepends=True) for part in _cut(line)]
    for chunk in split_by_bytes([(line, len(line.encode())) for line in lines], WRITTEN_BYTES):
        yield "".join(chunk)


def _cut(line: str) -> Iterator[str]:
    step = WRITTEN_BYTES // _MAX_BYTES_PER_CHAR
    if len(line) <= step or len(line.encode()) <= WRITTEN_BYTES:
        yield line
        return
    for first in range(0, len(line), step):
        part = line[first : first + step]
        yield part if part.endswith("\n") else f"{part}\n"


def merged(chunks: Iterable[LogChunk], steps: Iterable[StepLine]) -> Iterator[str]:
    """Yield the texts of chunks, in their order, with each line of a step before the first chunk that is younger."""
    waiting = iter(steps)
    step = next(waiting, None)
    for chunk in chunks:
        while step is not None and step.at <= chunk.at:
            yield f"{step.text}\n"
            step = next(waiting, None)
        if chunk.text:
            yield chunk.text
    while step is not None:
        yield f"{step.text}\n"
        step = next(waiting, None)
