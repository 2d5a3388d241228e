"""Writing logs of jobs to Redis."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.job_logs import (
    DROPPED,
    DROPPED_THROUGH,
    HEARTBEAT,
    HEARTBEAT_TOKEN,
    KEPT,
    TOKENS,
    chunk_of,
    chunk_value,
    dropped_through,
)
from soulcaster.adapters.redis.typed import Commands, Value
from soulcaster.domain.fixes.job_log import LaunchMark, LogChunk, LogFence
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.ports.job_logs import CHUNK_BYTES, MAX_LOG_BYTES, MAX_LOGS

WRITTEN_AT_ONCE = 1024 * 1024
"""Bytes of chunks that one transaction writes."""

FRONT_CHUNKS = 64
"""Oldest chunks that are read at once to find how many have to be dropped; then twice as many."""


class JobLogWriter:
    """Keeps the newest chunks of each log.

    A chunk is stored under the offset of its record, so a record that comes again changes nothing, whether its chunk is
    kept or was dropped.
    """

    def __init__(self, expires: timedelta | None) -> None:
        """`expires` is how long a log is kept after its last chunk; None is for ever."""
        self._expires = expires

    async def put(self, redis: Commands, project_id: str, chunks: Sequence[LogChunk]) -> None:
        """Add chunks, and drop the oldest beyond `MAX_LOG_BYTES`, and the logs of all but `MAX_LOGS` jobs."""
        by_job: dict[str, dict[int, LogChunk]] = defaultdict(dict)
        for chunk in chunks:
            by_job[chunk.job_id][chunk.offset] = chunk
        for job_id, of_job in by_job.items():
            for some in split_by_bytes([(chunk, _size(chunk)) for chunk in of_job.values()], WRITTEN_AT_ONCE):
                await self._put(redis, job_id, some)
        if by_job:
            last = {job_id: max(chunk.at for chunk in of_job.values()) for job_id, of_job in by_job.items()}
            await _keep_newest(redis, project_id, last)

    async def _put(self, redis: Commands, job_id: str, chunks: Sequence[LogChunk]) -> None:
        """Add some chunks of one log, all or nothing."""
        state, fence, unknown = await _known(redis, job_id, chunks)
        current = [chunk for chunk in chunks if not fence.is_outdated(chunk)]
        new = [chunk for chunk in current if chunk.text and chunk.offset in unknown]
        kept = int(state.get(KEPT, 0)) + sum(map(_size, new))
        dropped = await _oldest(redis, job_id, new, kept - MAX_LOG_BYTES) if kept > MAX_LOG_BYTES else []
        fields: dict[str, Value] = {
            KEPT: kept - sum(map(_size, dropped)),
            DROPPED: int(state.get(DROPPED, 0)) + sum(len(chunk.text.encode()) for chunk in dropped),
            DROPPED_THROUGH: dropped[-1].offset if dropped else dropped_through(state),
            TOKENS: json.dumps(fence.first_offsets()),
            **_heartbeat(state, current),
        }
        gone = {chunk.offset for chunk in dropped}
        transaction = redis.transaction()
        if added := {chunk_value(chunk): float(chunk.offset) for chunk in new if chunk.offset not in gone}:
            transaction.zadd(keys.job_log(job_id), added)
        if dropped:
            transaction.zrem_through(keys.job_log(job_id), dropped[-1].offset)
        transaction.hset(keys.job_log_state(job_id), fields)
        expires_at = None if self._expires is None else max(chunk.at for chunk in chunks) + self._expires
        for key in (keys.job_log(job_id), keys.job_log_state(job_id)):
            transaction.expire_at(key, expires_at)
        await transaction.execute()


async def _keep_newest(redis: Commands, project_id: str, last: Mapping[str, datetime]) -> None:
    """Note when these logs were written last, and delete those of the project that are too many."""
    pipe = redis.pipeline()
    key = keys.job_logs(project_id)
    pipe.zadd(key, {job_id: at.timestamp() for job_id, at in last.items()}, only_higher=True)
    count = pipe.zcard(key)
    await pipe.execute()
    if count.value > MAX_LOGS:
        pipe = redis.pipeline()
        oldest = pipe.zlowest(key, count.value - MAX_LOGS)
        await pipe.execute()
        transaction = redis.transaction()
        transaction.delete(*map(keys.job_log, oldest.value), *map(keys.job_log_state, oldest.value))
        transaction.zrem(key, *oldest.value)
        await transaction.execute()


def _size(chunk: LogChunk) -> int:
    """Return what a chunk takes, in bytes."""
    return len(chunk.text.encode()) + CHUNK_BYTES


async def _known(
    redis: Commands, job_id: str, chunks: Sequence[LogChunk]
) -> tuple[Mapping[str, str], LogFence, set[int]]:
    """Return the state of a log, its fence, and the offsets of those chunks that are neither kept nor dropped."""
    pipe = redis.pipeline()
    state = pipe.hgetall(keys.job_log_state(job_id))
    launch = pipe.hmget(keys.job(job_id), ["fence", "launched_at"])
    counts = {chunk.offset: pipe.zcount(keys.job_log(job_id), str(chunk.offset), str(chunk.offset)) for chunk in chunks}
    await pipe.execute()
    token, at = launch.value
    present = None if token is None or at is None else LaunchMark(int(token), datetime.fromisoformat(at))
    fence = LogFence(json.loads(state.value.get(TOKENS, "[]")), present)
    through = dropped_through(state.value)
    unknown = {offset for offset, count in counts.items() if offset > through and not count.value}
    return state.value, fence, unknown


async def _oldest(redis: Commands, job_id: str, new: Sequence[LogChunk], size: int) -> list[LogChunk]:
    """Return the oldest chunks, stored and new ones together, that take at least `size` bytes, oldest first."""
    count = FRONT_CHUNKS
    while True:
        pipe = redis.pipeline()
        stored = pipe.zlowest(keys.job_log(job_id), count)
        await pipe.execute()
        oldest = [chunk_of(job_id, value) for value in stored.value]
        if len(oldest) < count or sum(map(_size, oldest)) >= size:
            return list(_until_size(sorted([*oldest, *new], key=lambda chunk: chunk.offset), size))
        count *= 2


def _until_size(chunks: Sequence[LogChunk], size: int) -> Iterator[LogChunk]:
    for chunk in chunks:
        if size <= 0:
            return
        size -= _size(chunk)
        yield chunk


def _heartbeat(state: Mapping[str, str], chunks: Sequence[LogChunk]) -> dict[str, Value]:
    """Return the fields of the last heartbeat, if these chunks have a newer one."""
    signs = [(chunk.token, chunk.at) for chunk in chunks if chunk.token is not None]
    if HEARTBEAT in state:
        signs.append((int(state[HEARTBEAT_TOKEN]), datetime.fromisoformat(state[HEARTBEAT])))
    if not signs:
        return {}
    token, at = max(signs)
    return {HEARTBEAT: at.isoformat(), HEARTBEAT_TOKEN: token}
