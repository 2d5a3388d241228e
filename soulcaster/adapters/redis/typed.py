"""redis.asyncio with types: the commands that this package uses, alone and in pipelines.

Replies are text, as `client.redis_client` decodes them. Both classes have one short method for each command: long,
but one thing.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from redis.asyncio import Redis  # noqa: TID251  for our own connections
from redis.asyncio.client import Pipeline as RedisPipeline  # noqa: TID251  for our own connections

Value = str | bytes | int | float
Scored = tuple[str, float]
"""A member of a sorted set with its score."""
Entry = tuple[str, dict[str, str]]
"""An entry of a stream: its id and its fields."""

T = TypeVar("T")

Fence = Callable[[], None]
"""Is called before commands are sent, and raises where they may not be any more."""


def unfenced() -> None:
    """Let all commands be sent."""


class Reply(Generic[T]):
    """The reply to one command of a pipeline; `value` is set once the pipeline has run."""

    __slots__ = ("value",)
    value: T


class Pipeline:
    """Commands that are sent together, in one round trip; reads give a `Reply`, writes give nothing.

    It is empty after `execute` and can be used again.
    """

    def __init__(self, pipe: RedisPipeline, fence: Fence = unfenced) -> None:
        """Wrap a pipeline of redis.asyncio."""
        self._pipe: Any = pipe
        self._fence = fence
        self._replies: list[tuple[int, Reply[Any]]] = []

    def __len__(self) -> int:
        return len(self._pipe)

    async def execute(self) -> None:
        """Send the commands and set the replies; nothing is sent where there are no commands.

        Errors of the fence pass through.
        """
        self._fence()
        results = await self._pipe.execute()
        for position, reply in self._replies:
            reply.value = results[position]
        self._replies = []

    def _reply(self) -> Reply[Any]:
        """Return the reply of the command that was added last."""
        reply: Reply[Any] = Reply()
        self._replies.append((len(self._pipe) - 1, reply))
        return reply

    # ---- strings

    def mget(self, keys: Sequence[str]) -> Reply[list[str | None]]:
        """Read strings."""
        self._pipe.mget(keys)
        return self._reply()

    def strlen(self, key: str) -> Reply[int]:
        """Count the bytes of a string; 0 where it is missing."""
        self._pipe.strlen(key)
        return self._reply()

    def set(self, key: str, value: Value, *, expires: timedelta | None = None) -> None:
        """Write a string."""
        self._pipe.set(key, value, ex=expires)

    def set_new(self, key: str, value: Value) -> None:
        """Write a string unless there is one."""
        self._pipe.set(key, value, nx=True)

    def mset(self, values: Mapping[str, str | bytes]) -> None:
        """Write strings."""
        self._pipe.mset(values)

    def incr(self, key: str, by: int) -> None:
        """Add to a number; a missing one is 0."""
        self._pipe.incrby(key, by)

    def delete(self, *keys: str) -> None:
        """Delete keys."""
        self._pipe.delete(*keys)

    def expire_at(self, key: str, at: datetime | None) -> None:
        """Let a key expire at a time, at once if that has passed; None keeps it."""
        if at is None:
            self._pipe.persist(key)
        else:
            self._pipe.expireat(key, at)

    # ---- hashes

    def hvals(self, key: str) -> Reply[list[str]]:
        """Read the values of a hash's fields."""
        self._pipe.hvals(key)
        return self._reply()

    def hmget(self, key: str, fields: Sequence[str]) -> Reply[list[str | None]]:
        """Read fields of a hash."""
        self._pipe.hmget(key, fields)
        return self._reply()

    def hgetall(self, key: str) -> Reply[dict[str, str]]:
        """Read a hash; a missing one is empty."""
        self._pipe.hgetall(key)
        return self._reply()

    def hexists(self, key: str, field: str) -> Reply[bool]:
        """Tell whether a hash has a field."""
        self._pipe.hexists(key, field)
        return self._reply()

    def hstrlen(self, key: str, field: str) -> Reply[int]:
        """Count the bytes of a hash's field; 0 where it is missing."""
        self._pipe.hstrlen(key, field)
        return self._reply()

    def hlen(self, key: str) -> Reply[int]:
        """Count the fields of a hash."""
        self._pipe.hlen(key)
        return self._reply()

    def hset(self, key: str, values: Mapping[str, Value]) -> None:
        """Write fields of a hash."""
        self._pipe.hset(key, mapping=values)

    def hdel(self, key: str, *fields: str) -> None:
        """Delete fields of a hash."""
        self._pipe.hdel(key, *fields)

    # ---- sets

    def sismember(self, key: str, member: str) -> Reply[bool]:
        """Tell whether a set has a member."""
        self._pipe.sismember(key, member)
        return self._reply()

    def smismember(self, key: str, members: Sequence[str]) -> Reply[list[int]]:
        """Tell of each member whether a set has it, as 1 or 0."""
        self._pipe.smismember(key, members)
        return self._reply()

    def smembers(self, key: str) -> Reply[Set[str]]:
        """Read a set."""
        self._pipe.smembers(key)
        return self._reply()

    def scard(self, key: str) -> Reply[int]:
        """Count the members of a set."""
        self._pipe.scard(key)
        return self._reply()

    def sadd(self, key: str, *members: str) -> None:
        """Add members to a set."""
        self._pipe.sadd(key, *members)

    def srem(self, key: str, *members: str) -> None:
        """Remove members from a set."""
        self._pipe.srem(key, *members)

    # ---- sorted sets

    def zcard(self, key: str) -> Reply[int]:
        """Count the members of a sorted set."""
        self._pipe.zcard(key)
        return self._reply()

    def zcount(self, key: str, lowest: str, highest: str) -> Reply[int]:
        """Count the members with a score in a range."""
        self._pipe.zcount(key, lowest, highest)
        return self._reply()

    def zmscore(self, key: str, members: Sequence[str]) -> Reply[list[float | None]]:
        """Read scores; None for a member that is missing."""
        self._pipe.zmscore(key, members)
        return self._reply()

    def zlowest(self, key: str, count: int) -> Reply[list[str]]:
        """Read the `count` members with the lowest scores, lowest first."""
        self._pipe.zrange(key, 0, count - 1)
        return self._reply()

    def zfrom(self, key: str, lowest: float, count: int) -> Reply[list[str]]:
        """Read at most `count` members with a score of at least `lowest`, lowest first."""
        self._pipe.zrangebyscore(key, lowest, "+inf", start=0, num=count)
        return self._reply()

    def zrevrank(self, key: str, member: str) -> Reply[int | None]:
        """Read a member's rank from the top; None where it is missing."""
        self._pipe.zrevrank(key, member)
        return self._reply()

    def zscored(self, key: str) -> Reply[list[Scored]]:
        """Read all members with their scores, lowest first."""
        self._pipe.zrange(key, 0, -1, withscores=True)
        return self._reply()

    def zrevrange(self, key: str, first: int, last: int) -> Reply[list[str]]:
        """Read members by rank from the top, `last` included."""
        self._pipe.zrevrange(key, first, last)
        return self._reply()

    def zrevscored(self, key: str, first: int, last: int) -> Reply[list[Scored]]:
        """Read members with their scores by rank from the top, `last` included."""
        self._pipe.zrevrange(key, first, last, withscores=True)
        return self._reply()

    def zadd(self, key: str, scores: Mapping[str, float], *, only_higher: bool = False) -> None:
        """Add members or set their scores; with `only_higher` a score never sinks."""
        self._pipe.zadd(key, scores, gt=only_higher)

    def zrem(self, key: str, *members: str) -> None:
        """Remove members."""
        self._pipe.zrem(key, *members)

    def zrem_through(self, key: str, highest: float) -> None:
        """Remove the members with a score of at most `highest`."""
        self._pipe.zremrangebyscore(key, "-inf", highest)

    def zkeep_highest(self, key: str, count: int) -> None:
        """Remove all members but the `count` with the highest scores."""
        self._pipe.zremrangebyrank(key, 0, -count - 1)

    # ---- HyperLogLogs, streams

    def pfcount(self, key: str) -> Reply[int]:
        """Estimate how many different members a HyperLogLog was given."""
        self._pipe.pfcount(key)
        return self._reply()

    def pfadd(self, key: str, *members: str) -> None:
        """Give members to a HyperLogLog."""
        self._pipe.pfadd(key, *members)

    def xfirst(self, key: str) -> Reply[list[Entry]]:
        """Read the oldest entry of a stream, if there is one."""
        self._pipe.xrange(key, count=1)
        return self._reply()

    def xlast(self, key: str) -> Reply[list[Entry]]:
        """Read the newest entry of a stream, if there is one."""
        self._pipe.xrevrange(key, count=1)
        return self._reply()

    def xadd(self, key: str, fields: Mapping[str, Value], *, keep: int) -> None:
        """Add an entry to a stream and drop the oldest beyond about `keep`."""
        self._pipe.xadd(key, fields, maxlen=keep, approximate=True)


class Commands:
    """Commands that are sent alone, one round trip each. Writes and pipelines pass the fence first."""

    def __init__(self, redis: Redis, fence: Fence = unfenced) -> None:
        """Wrap a client of redis.asyncio."""
        self._redis: Any = redis
        self._fence = fence

    def pipeline(self) -> Pipeline:
        """Return a pipeline; other clients' commands may run in between its own."""
        return Pipeline(self._redis.pipeline(transaction=False), self._fence)

    def transaction(self) -> Pipeline:
        """Return a pipeline of which Redis runs all commands or none, with nothing in between."""
        return Pipeline(self._redis.pipeline(transaction=True), self._fence)

    async def run(self, script: str, keys: Sequence[str], *arguments: Value) -> int:
        """Run a script in Lua, with nothing in between; return the number that it returns, 0 where it returns none."""
        return int(await self._redis.eval(script, len(keys), *keys, *arguments) or 0)

    async def ping(self) -> None:
        """Return when Redis answers."""
        await self._redis.ping()

    async def scan(self, pattern: str, *, count: int) -> AsyncIterator[str]:
        """Yield the keys that match a pattern; Redis looks at about `count` of all its keys in one round trip."""
        async for key in self._redis.scan_iter(match=pattern, count=count):
            yield key

    async def unlink(self, *keys: str) -> None:
        """Delete keys; Redis frees their memory later."""
        self._fence()
        await self._redis.unlink(*keys)

    # ---- strings

    async def get(self, key: str) -> str | None:
        """Read a string."""
        value: str | None = await self._redis.get(key)
        return value

    async def mget(self, keys: Sequence[str]) -> list[str | None]:
        """Read strings."""
        values: list[str | None] = await self._redis.mget(keys)
        return values

    async def set(self, key: str, value: Value, *, expires: timedelta | None = None) -> None:
        """Write a string."""
        self._fence()
        await self._redis.set(key, value, ex=expires)

    async def getdel(self, key: str) -> str | None:
        """Read a string and delete it, so that only one client gets it."""
        self._fence()
        value: str | None = await self._redis.getdel(key)
        return value

    async def set_new(self, key: str, value: Value, *, expires: timedelta) -> bool:
        """Write a string unless there is one; tell whether it was written."""
        self._fence()
        return bool(await self._redis.set(key, value, nx=True, ex=expires))

    async def set_known(self, key: str, value: Value, *, expires: timedelta) -> bool:
        """Write a string if there is one; tell whether it was written."""
        self._fence()
        return bool(await self._redis.set(key, value, xx=True, ex=expires))

    async def delete(self, *keys: str) -> None:
        """Delete keys."""
        self._fence()
        await self._redis.delete(*keys)

    # ---- hashes

    async def hget(self, key: str, field: str) -> str | None:
        """Read a field of a hash."""
        value: str | None = await self._redis.hget(key, field)
        return value

    async def hmget(self, key: str, fields: Sequence[str]) -> list[str | None]:
        """Read fields of a hash."""
        values: list[str | None] = await self._redis.hmget(key, fields)
        return values

    async def hgetall(self, key: str) -> dict[str, str]:
        """Read a hash; a missing one is empty."""
        fields: dict[str, str] = await self._redis.hgetall(key)
        return fields

    async def hkeys(self, key: str) -> list[str]:
        """Read the names of a hash's fields."""
        names: list[str] = await self._redis.hkeys(key)
        return names

    async def hvals(self, key: str) -> list[str]:
        """Read the values of a hash's fields."""
        values: list[str] = await self._redis.hvals(key)
        return values

    async def hset(self, key: str, values: Mapping[str, Value]) -> None:
        """Write fields of a hash."""
        self._fence()
        await self._redis.hset(key, mapping=values)

    async def hdel(self, key: str, *fields: str) -> None:
        """Delete fields of a hash."""
        self._fence()
        await self._redis.hdel(key, *fields)

    # ---- sets, sorted sets, streams

    async def smembers(self, key: str) -> Set[str]:
        """Read a set."""
        members: Set[str] = await self._redis.smembers(key)
        return members

    async def zrevrange(self, key: str, first: int, last: int) -> list[str]:
        """Read members by rank from the top, `last` included."""
        members: list[str] = await self._redis.zrevrange(key, first, last)
        return members

    async def zrevscored(self, key: str, first: int, last: int) -> list[Scored]:
        """Read members with their scores by rank from the top, `last` included."""
        members: list[Scored] = await self._redis.zrevrange(key, first, last, withscores=True)
        return members

    async def xread(self, positions: Mapping[str, str], *, count: int) -> list[tuple[str, list[Entry]]]:
        """Read what came after an entry, by stream, at most `count` entries of each; never waits for more."""
        found: list[tuple[str, list[Entry]]] = await self._redis.xread(positions, count=count)
        return found
