"""Reading the logs of jobs: a part at a time, or followed while they are written.

The newest part of a log is in the read model. When that is not all, and the job has ended, the archive has it whole.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from soulcaster.domain.fixes.job_log import merged
from soulcaster.domain.fixes.log_position import BlobPosition, LogPosition, MemoryPosition
from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import LimitReached, NotFound
from soulcaster.ports.archive import Archive
from soulcaster.ports.job_logs import JobLogReader, LogView
from soulcaster.ports.jobs import JobReader
from soulcaster.services.log_archive import archive_key, read_archived
from soulcaster.services.waiting import until

POLL_SECONDS = 0.5
"""Pause between two reads of a log that somebody follows."""

QUIET_SECONDS = 2.0
"""How long the log of a job that has ended must bring nothing new until it counts as whole: its end and its last lines
are on two topics."""

PART_BYTES = 256 * 1024
"""How much of a log a response or an event has, about: no less than its longest chunk."""

MAX_FOLLOWERS = 20
"""Logs that one name may follow at once in this process."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of a log.

    `source` is where it is from, `texts` are whole lines, `position` is behind them, and `more` says that more can be
    read now. `dropped` is how many bytes of the log are missing before the part, if it begins after a gap.
    """

    source: Literal["memory", "blob"]
    texts: Sequence[str]
    position: LogPosition
    more: bool
    dropped: int = 0


class Follower:
    """Somebody who follows a log."""

    def __init__(self) -> None:
        self.ended = False

    def end(self) -> None:
        """End it within `POLL_SECONDS`."""
        self.ended = True


class JobLogReading:
    """Reads logs, and limits how many are followed at once."""

    def __init__(self, logs: JobLogReader, jobs: JobReader, archive: Archive | None) -> None:
        self._logs = logs
        self._jobs = jobs
        self._archive = archive
        self._counts: Counter[str] = Counter()
        self._followers: set[Follower] = set()
        self._closed = False

    async def read(self, job: Job, after: LogPosition, *, limit_bytes: int) -> LogPart:
        """Return the part of a job's log after a position, at most about `limit_bytes`.

        A position in the archive is one in the archive only, and the other way round; where the archive has to be read
        instead, it is read from its beginning.

        Raises:
            Unavailable: Redis or the archive does not answer.
        """
        if isinstance(after, BlobPosition):
            found = await self._archived(job, after, limit_bytes)
            if found is not None:
                return found
            after = MemoryPosition()
        view = await self._logs.read(job.id, after.offset, limit_bytes=limit_bytes)
        if not active(job) and after == MemoryPosition() and (view.is_gap or not view.chunks):
            found = await self._archived(job, BlobPosition(), limit_bytes)
            if found is not None:
                return found
        return await self._kept(job, view, after)

    @contextmanager
    def following(self, name: str) -> Iterator[Follower]:
        """Give a follower, one of the `MAX_FOLLOWERS` that a name may have at once.

        Raises:
            LimitReached: this name has as many.
        """
        if self._counts[name] >= MAX_FOLLOWERS:
            raise LimitReached(f"One API key may follow {MAX_FOLLOWERS} logs at once; close another one first.")
        follower = Follower()
        follower.ended = self._closed
        self._counts[name] += 1
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]

    async def parts(
        self, follower: Follower, job_id: str, after: LogPosition, *, seconds: float
    ) -> AsyncIterator[LogPart]:
        """Yield a job's log as it is written; the last part, without text, comes when the job has ended.

        Without that last part it ends when `seconds` have passed, when the follower ends or when this closes.

        Raises:
            Unavailable: Redis or the archive does not answer.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0 and not follower.ended:
            ended, part = await until(
                partial(self._followed, job_id, after),
                lambda found: found[0] or bool(found[1].texts) or follower.ended,
                seconds=left,
                poll_seconds=POLL_SECONDS,
            )
            if ended and not part.texts:
                _, part = await until(
                    partial(self._followed, job_id, after),
                    lambda found: bool(found[1].texts) or follower.ended,
                    seconds=QUIET_SECONDS,
                    poll_seconds=POLL_SECONDS,
                )
            if follower.ended:
                return
            if part.texts or ended:
                yield part
            if ended and not part.texts:
                return
            after = part.position

    def close(self) -> None:
        """End all followers, those that begin later as well."""
        self._closed = True
        for follower in self._followers:
            follower.end()

    async def _followed(self, job_id: str, after: LogPosition) -> tuple[bool, LogPart]:
        """Return whether the job has ended, and the next part of its log."""
        job = await self._jobs.get(job_id)
        if job is None:  # the read model is being rebuilt
            return False, LogPart("memory", (), after, more=False)
        return not active(job), await self.read(job, after, limit_bytes=PART_BYTES)

    async def _kept(self, job: Job, view: LogView, after: MemoryPosition) -> LogPart:
        """Return a part of what the read model has, with the lines of steps."""
        steps = (await self._logs.steps(job.id))[after.steps :]
        if view.more:
            steps = [step for step in steps if step.at <= view.chunks[-1].at]
        texts = tuple(merged(view.chunks, steps))
        offset = view.chunks[-1].offset + 1 if view.chunks else after.offset
        position = MemoryPosition(offset, after.steps + len(steps))
        return LogPart("memory", texts, position, view.more, view.dropped if view.is_gap else 0)

    async def _archived(self, job: Job, after: BlobPosition, limit_bytes: int) -> LogPart | None:
        """Return a part of what the archive has; None where it has nothing."""
        if self._archive is None or job.archive_url is None:
            return None
        try:
            key = archive_key(job.project_id, job.id)
            data, more = await read_archived(self._archive, key, after.byte, limit_bytes)
        except NotFound:
            return None
        if more and (end := data.rfind(b"\n")) >= 0:
            data = data[: end + 1]
        text = data.decode(errors="replace")
        return LogPart("blob", (text,) if text else (), BlobPosition(after.byte + len(data)), more)
