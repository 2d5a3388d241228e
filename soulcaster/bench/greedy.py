"""The greedy project of `bench neighbour`: asks for addresses over many connections, until it is ended."""

import asyncio
import sys
from itertools import cycle

import aiohttp

CONNECTIONS = 32


async def _ask(server: str, paths: list[str]) -> None:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(server, connector=connector) as http, asyncio.TaskGroup() as group:
        for first in range(CONNECTIONS):
            group.create_task(_one(http, paths[first % len(paths) :] + paths[: first % len(paths)]))


async def _one(http: aiohttp.ClientSession, paths: list[str]) -> None:
    for path in cycle(paths):
        async with http.get(path) as answer:
            await answer.read()


if __name__ == "__main__":
    asyncio.run(_ask(sys.argv[1], sys.argv[2:]))
