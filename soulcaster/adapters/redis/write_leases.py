"""Leases in Redis: who writes the read model of a partition.

A write reads how things are, and then says what changes. Two processes that do so for one project at the same time may
leave an item in two clusters. One process has a partition, but not at every moment: a rebuild replays it beside the
worker, and a worker that stood still for a while goes on with what it had begun.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.typed import Fence, unfenced
from soulcaster.errors import Unavailable, WriteLeaseLost, WriteLeaseTaken

LEASE_SECONDS = 5.0
"""How long a lease holds that nobody renews; less than the session time-out, after which another worker wants it."""

RENEWED_SECONDS = LEASE_SECONDS / 5

TRIED_SECONDS = 0.05
"""How often somebody who waits for a lease tries to take it."""

_TAKE = """
for number, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if holder and holder ~= ARGV[1] then return number - 1 end
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return #KEYS
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
"""


class WriteLease:
    """The leases of some partitions together, from `take` to `give_back`."""

    def __init__(
        self, connection: RedisConnection, token: str, partitions: Collection[int], clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._token = token
        self._keys = [keys.writing(number) for number in sorted(partitions)]
        self._clock = clock
        self._until = 0.0
        self._lost = False

    async def take(self) -> None:
        """Take all of them.

        They are taken in their order, so that two who want the same ones never wait for each other.

        Raises:
            WriteLeaseTaken: another process has one; those before it are taken.
            RedisUnavailable: Redis does not answer.
        """
        self._until = await self._taken()

    def check(self) -> None:
        """Return while the lease holds.

        Raises:
            WriteLeaseLost: it has run out, once and for all: another process may have written since.
        """
        self._lost = self._lost or self._clock() >= self._until
        if self._lost:
            raise WriteLeaseLost("The read model was not written for too long; another process may have done so.")

    async def keep(self) -> None:
        """Renew the lease until cancelled, or until it is lost."""
        while not self._lost:
            await asyncio.sleep(RENEWED_SECONDS)
            with suppress(WriteLeaseLost, Unavailable):  # `check` says so where something is written
                until = await self._taken()
                self.check()  # one that ran out before it was renewed may have been another's in between
                self._until = until

    async def give_back(self) -> None:
        """Let others have it."""
        with suppress(Unavailable):  # it runs out by itself
            async with self._connection.commands() as redis:
                await redis.run(_GIVE_BACK, self._keys, self._token)

    async def _taken(self) -> float:
        """Take or renew all of them, and return until when they hold; raises as `take` does."""
        asked = self._clock()
        async with self._connection.commands() as redis:
            taken = await redis.run(_TAKE, self._keys, self._token, round(1000 * LEASE_SECONDS))
        if taken < len(self._keys):
            raise WriteLeaseTaken(f"Another process writes the read model; it has {self._keys[taken]}.")
        return asked + LEASE_SECONDS  # Redis counts from later on


class WriteLeases:
    """The lease that a process holds now: one at a time."""

    def __init__(self, connection: RedisConnection, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds, and goes on while the process is suspended."""
        self._connection = connection
        self._clock = clock
        self._token = uuid4().hex
        self._held: WriteLease | None = None

    @asynccontextmanager
    async def held(self, partitions: Collection[int]) -> AsyncIterator[None]:
        """Hold the leases of partitions during the block; wait for them, but not for ever.

        Raises:
            WriteLeaseTaken: after `LEASE_SECONDS` another process still has one.
            RedisUnavailable: Redis does not answer.
        """
        lease = WriteLease(self._connection, self._token, partitions, self._clock)
        await self._take(lease)
        self._held = lease
        keeper = asyncio.create_task(lease.keep())
        try:
            yield
        finally:
            self._held = None
            keeper.cancel()
            await asyncio.wait([keeper])
            await lease.give_back()

    async def _take(self, lease: WriteLease) -> None:
        end = self._clock() + LEASE_SECONDS
        while True:
            try:
                return await lease.take()
            except WriteLeaseTaken:
                if self._clock() >= end:
                    await lease.give_back()
                    raise
            await asyncio.sleep(TRIED_SECONDS)

    def fence(self) -> Fence:
        """Return the fence of a write that begins now: the lease that is held now has to hold until its end."""
        return unfenced if self._held is None else self._held.check
