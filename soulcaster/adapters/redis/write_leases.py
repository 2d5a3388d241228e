"""Leases in Redis: who writes the read model of a partition.

A write reads how things are, and then says what changes. Two processes that do so for one project at the same time may
leave an item in two clusters. One process has a partition, but not at every moment: a rebuild replays it beside the
worker, and a worker that stood still for a while goes on with what it had begun.

Who finds a lease taken is noted as the next one, so that two who write batch after batch take turns. A lease whose key
is gone is lost: Redis was emptied, or its data is that of a replica that fell behind. Keys expire by Redis's clock. If
that was set back, they would stay for longer than any lease: they get their time again from the moment when somebody
sees it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from uuid import uuid4

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.typed import Fence, unfenced
from soulcaster.errors import Unavailable, WriteLeaseLost, WriteLeaseTaken
from soulcaster.services.elapsed import elapsed

LEASE_SECONDS = 5.0
"""How long a lease holds that nobody renews; less than the session time-out, after which another worker wants it."""

RENEWED_SECONDS = LEASE_SECONDS / 5

TRIED_SECONDS = 0.05
"""How often somebody who waits for a lease tries to take it."""

NEXT_SECONDS = 1.0
"""How long somebody is noted as the next one after the last try."""

_TAKE = """
local token, lease, noted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function there(key, most)
  local value = redis.call('GET', key)
  if value and redis.call('PTTL', key) > most then redis.call('PEXPIRE', key, most) end
  return value
end
local count = #KEYS / 2
for number = 1, count do
  local key, next_key = KEYS[number], KEYS[count + number]
  local holder, next_one = there(key, lease), there(next_key, noted)
  if holder == token or not holder and (not next_one or next_one == token) then
    redis.call('SET', key, token, 'PX', lease)
    if next_one == token then redis.call('DEL', next_key) end
  else
    if not next_one or next_one == token then redis.call('SET', next_key, token, 'PX', noted) end
    return number - 1
  end
end
return count
"""
_KEEP = """
for number, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= ARGV[1] then return number - 1 end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return #KEYS
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
"""


class WriteLease:
    """The leases of some partitions together, from `take` to `give_back`."""

    def __init__(self, connection: RedisConnection, partitions: Collection[int], clock: Callable[[], float]) -> None:
        self._connection = connection
        self._token = uuid4().hex
        self._keys = [keys.writing(number) for number in sorted(partitions)]
        self._next = [keys.writing_next(number) for number in sorted(partitions)]
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
        milliseconds = [round(1000 * seconds) for seconds in (LEASE_SECONDS, NEXT_SECONDS)]
        asked = self._clock()
        async with self._connection.commands() as redis:
            taken = await redis.run(_TAKE, [*self._keys, *self._next], self._token, *milliseconds)
        if taken < len(self._keys):
            raise WriteLeaseTaken(f"Another process writes the read model; it has {self._keys[taken]}, or is next.")
        self._until = asked + LEASE_SECONDS  # Redis counts from later on

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
                self._until = await self._kept()

    async def give_back(self) -> None:
        """Let others have it."""
        with suppress(Unavailable):  # it runs out by itself
            async with self._connection.commands() as redis:
                await redis.run(_GIVE_BACK, self._keys, self._token)

    async def _kept(self) -> float:
        """Renew all of them, and return until when they hold.

        Raises:
            WriteLeaseLost: one of them is gone, so another process may have written since.
            RedisUnavailable: Redis does not answer.
        """
        asked = self._clock()
        async with self._connection.commands() as redis:
            kept = await redis.run(_KEEP, self._keys, self._token, round(1000 * LEASE_SECONDS))
        self._lost = self._lost or kept < len(self._keys)
        self.check()  # one that ran out before it was renewed may have been another's in between
        return asked + LEASE_SECONDS


class WriteLeases:
    """The leases that tasks of a process hold: each task one at a time, which holds for the tasks that it starts."""

    def __init__(self, connection: RedisConnection, clock: Callable[[], float] = elapsed) -> None:
        """`clock` is in seconds; nobody sets it, and it goes on while the process does not run."""
        self._connection = connection
        self._clock = clock
        self._held: ContextVar[WriteLease | None] = ContextVar("held", default=None)

    @asynccontextmanager
    async def held(self, partitions: Collection[int]) -> AsyncIterator[None]:
        """Hold the leases of partitions during the block; wait for them, but not for ever.

        Raises:
            WriteLeaseTaken: after `LEASE_SECONDS` another process still has one.
            RedisUnavailable: Redis does not answer.
        """
        lease = WriteLease(self._connection, partitions, self._clock)
        await self._take(lease)
        self._held.set(lease)
        keeper = asyncio.create_task(lease.keep())
        try:
            yield
        finally:
            self._held.set(None)
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
        lease = self._held.get()
        return unfenced if lease is None else lease.check
