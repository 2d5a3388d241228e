import asyncio
from pathlib import Path

from soulcaster.dev.child import Child
from soulcaster.dev.loopback import free_port
from soulcaster.dev.redis import start_redis


async def test_a_start_that_is_cancelled_ends_at_every_step(tmp_path: Path) -> None:
    async def say_that_it_loads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
        writer.close()

    port = free_port()
    child = Child("Redis", ["sleep", "600"], log=tmp_path / "log", grace=1)
    async with await asyncio.start_server(say_that_it_loads, "127.0.0.1", port):
        for turns in range(60):
            starting = asyncio.create_task(start_redis(child, port))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait([starting], timeout=30)
            assert starting.cancelled(), f"cancelled after {turns} turns of the event loop"
    await child.kill()
