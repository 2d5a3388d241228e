"""Watching a run: when each accepted item shows in its cluster, and for how long nothing moved."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from soulcaster.processes.settings import Settings
from tests.faults.load import Ledger

LOOK_SECONDS = 0.3
REDIS_SECONDS = 5.0


class Watch:
    """Looks at Redis all the time."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._shown_at: dict[str, float] = {}
        self._moved = time.monotonic()
        self._blow = self._moved
        self.longest_stall = 0.0

    @property
    def shown(self) -> int:
        """How many items have shown."""
        return len(self._shown_at)

    def blow(self) -> None:
        """Note that the system may recover from now on: something was killed, or has come back."""
        self._blow = time.monotonic()

    def forget(self) -> None:
        """Look at every item again: Redis was emptied."""
        self._shown_at.clear()

    async def run(self) -> None:
        """Look until it is cancelled."""
        redis: Redis = Redis.from_url(
            self._settings.redis_url,
            decode_responses=True,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        )
        async with redis:
            while True:
                with suppress(RedisError, OSError):  # where it is away, nothing shows
                    await self._look(redis)
                self._measure()
                await asyncio.sleep(LOOK_SECONDS)

    async def all_shown(self, seconds: float) -> bool:
        """Return true once everything accepted has shown; false if that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                while self.missing():
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            return False
        return True

    def recovered(self) -> float | None:
        """Return the time from the last blow until all that was accepted before it had shown; None: it never has."""
        wanted = [i for i, at in self._ledger.accepted.items() if at <= self._blow]
        if any(i not in self._shown_at for i in wanted):
            return None
        return max([0.0, *(self._shown_at[i] - self._blow for i in wanted)])

    def missing(self) -> set[str]:
        """Return the accepted items that have not shown."""
        return self._ledger.accepted.keys() - self._shown_at.keys()

    async def _look(self, redis: Redis) -> None:
        by_project: dict[str, list[str]] = defaultdict(list)
        for item_id in self.missing():
            by_project[self._ledger.project_of[item_id]].append(item_id)
        for project_id, ids in by_project.items():
            clusters = await redis.hmget(f"feedback:cluster:{project_id}", ids)
            now = time.monotonic()
            for item_id, cluster in zip(ids, clusters, strict=True):
                if cluster is not None:
                    self._shown_at[item_id] = self._moved = now

    def _measure(self) -> None:
        waiting = self.missing()
        if waiting and self._shown_at:
            since = max(self._moved, min(self._ledger.accepted[i] for i in waiting))
            self.longest_stall = max(self.longest_stall, time.monotonic() - since)
