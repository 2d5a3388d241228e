"""Logs of jobs in Redis: the form of a chunk, and their reader."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.jobs import step_lines
from soulcaster.domain.fixes.job_log import LogChunk, StepLine
from soulcaster.ports.job_logs import Heartbeat, LogView

FIRST_CHUNKS = 4
"""Chunks that are read in the first round trip, about 1 MB at most; each following one reads twice as many."""

DROPPED, DROPPED_THROUGH, KEPT, HEARTBEAT, HEARTBEAT_TOKEN, TOKENS = (
    "dropped", "dropped_through", "kept", "heartbeat_at", "heartbeat_token", "tokens",
)  # fmt: skip
"""Fields of the state of a log: bytes dropped, the offset of the last dropped chunk, bytes kept, the last heartbeat and
its token, and the launches that wrote, as `LogFence.first_offsets` in JSON."""

NOTHING_DROPPED = -1
"""`dropped_through` where nothing was dropped."""


def chunk_value(chunk: LogChunk) -> str:
    """Return what is stored of a chunk; the same record always gives the same value."""
    token = "" if chunk.token is None else chunk.token
    return f"{chunk.offset} {chunk.at.isoformat()} {token}\n{chunk.text}"


def chunk_of(job_id: str, value: str) -> LogChunk:
    """Return the chunk that was stored."""
    head, _, text = value.partition("\n")
    offset, at, token = head.split(" ")
    return LogChunk(job_id, int(token) if token else None, datetime.fromisoformat(at), text, int(offset))


def dropped_through(state: Mapping[str, str]) -> int:
    """Return the offset of the last chunk that was dropped from a log."""
    return int(state.get(DROPPED_THROUGH, NOTHING_DROPPED))


class RedisJobLogs:
    """JobLogReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def read(self, job_id: str, first: int, *, limit_bytes: int) -> LogView:
        """Return the chunks from an offset on, oldest first."""
        chunks: list[LogChunk] = []
        size, count, lowest = 0, FIRST_CHUNKS, first
        async with self._connection.commands() as redis:
            while True:
                pipe = redis.pipeline()
                state = pipe.hgetall(keys.job_log_state(job_id))
                values = pipe.zfrom(keys.job_log(job_id), lowest, count)
                await pipe.execute()
                for value in values.value:
                    chunk = chunk_of(job_id, value)
                    size += len(chunk.text.encode())
                    if chunks and size > limit_bytes:
                        return _view(chunks, state.value, first, more=True)
                    chunks.append(chunk)
                if len(values.value) < count:
                    return _view(chunks, state.value, first, more=False)
                lowest, count = chunks[-1].offset + 1, count * 2

    async def steps(self, job_id: str) -> Sequence[StepLine]:
        """Return the log lines of the job's steps, oldest first."""
        async with self._connection.commands() as redis:
            stored = await redis.hvals(keys.job_steps(job_id))
        return [StepLine(datetime.fromisoformat(place.split(" ")[0]), text) for place, text in step_lines(stored)]

    async def heartbeat(self, job_id: str) -> Heartbeat | None:
        """Return the last sign of the job's program, or None."""
        async with self._connection.commands() as redis:
            at, token = await redis.hmget(keys.job_log_state(job_id), [HEARTBEAT, HEARTBEAT_TOKEN])
        return None if at is None or token is None else Heartbeat(datetime.fromisoformat(at), int(token))


def _view(chunks: Sequence[LogChunk], state: Mapping[str, str], first: int, *, more: bool) -> LogView:
    return LogView(chunks, more, int(state.get(DROPPED, 0)), first <= dropped_through(state))
