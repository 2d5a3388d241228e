"""A task that is cancelled in the middle of a command of Redis ends, and leaves the connections in order."""

import asyncio

from soulcaster.adapters.redis.client import RedisAccess
from soulcaster.adapters.redis.connection import RedisConnection


async def test_a_command_passes_a_cancellation_on_at_every_step(redis_url: str) -> None:
    connection = RedisConnection(RedisAccess(redis_url))
    try:
        await connection.ping()
        for turns in range(60):
            task = asyncio.create_task(connection.ping())
            for _ in range(turns):
                await asyncio.sleep(0)
            answered = task.done()
            task.cancel()
            await asyncio.wait([task])
            assert answered or task.cancelled(), f"cancelled after {turns} turns of the event loop"
            await connection.ping()
    finally:
        await connection.close()
