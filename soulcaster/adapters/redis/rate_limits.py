"""Rate limits in Redis, so that all web servers count together.

Requests are counted in windows of `WINDOW_SECONDS` that begin at fixed times, under `rate:key:{id}:{window}` and
`rate:project:{id}:{window}`, bytes and items under `rate:{bytes or items}:{scope}:{project id}:{window}`. Around the
end of a window a caller can make the requests of two windows; in exchange, counting costs one round trip and needs no
script.

A Redis that is full takes no counts. Then each web server counts requests by itself: whoever only reads needs no write.
"""

from collections import Counter
from collections.abc import Mapping

from redis.exceptions import RedisError

from soulcaster.adapters.redis.client import RedisAccess, redis_client
from soulcaster.adapters.redis.failures import failure
from soulcaster.errors import RedisFull
from soulcaster.ports.clock import Clock
from soulcaster.ports.rate_limits import Sent

WINDOW_SECONDS = 10
TIMEOUT_SECONDS = 2.0


class RedisRateLimits:
    """RateLimits over Redis, all per minute: requests of a key and of a project, megabytes and items of a project."""

    def __init__(
        self, access: RedisAccess, *, per_key: int, per_project: int, megabytes: int, items: int, clock: Clock
    ) -> None:
        """Prepare; the first call connects."""
        self._access = access
        self._redis = redis_client(access, timeout=TIMEOUT_SECONDS)
        self._per_key = max(1, per_key * WINDOW_SECONDS // 60)
        self._per_project = max(1, per_project * WINDOW_SECONDS // 60)
        self._sent: Mapping[Sent, int] = {
            "bytes": megabytes * 1024 * 1024 * WINDOW_SECONDS // 60,
            "items": items * WINDOW_SECONDS // 60,
        }
        self._clock = clock
        self._here: Counter[str] = Counter()
        self._here_since = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def take(self, key_id: str, project_id: str) -> float:
        """Count a request; return 0 if it is within the limits, else the seconds to wait before the next request."""
        now = self._clock().timestamp()
        window = int(now // WINDOW_SECONDS)
        names = (f"rate:key:{key_id}:{window}", f"rate:project:{project_id}:{window}")
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.incr(name)
            pipe.expire(name, 2 * WINDOW_SECONDS)
        try:
            of_key, _, of_project, _ = await pipe.execute()
        except (RedisError, OSError) as error:
            found = failure(self._access, error)
            if not isinstance(found, RedisFull):
                raise found from error
            of_key, of_project = (self._count_here(name, window) for name in names)
        over = of_key > self._per_key or of_project > self._per_project
        return (window + 1) * WINDOW_SECONDS - now if over else 0.0

    async def take_of(self, name: str, *, most: int, seconds: int) -> float:
        """Count one of what `name` may have, under `rate:{name}:{window}`; return the seconds to wait, or 0."""
        return await self._count(name, 1, most, seconds)

    async def take_sent(self, what: Sent, project_id: str, scope: str, amount: int) -> float:
        """Count bytes or items sent to a project with a scope; return the seconds to wait, or 0."""
        return await self._count(f"{what}:{scope}:{project_id}", amount, self._sent[what], WINDOW_SECONDS)

    async def ping(self) -> None:
        """Return when Redis answers, and takes writes.

        Raises:
            RedisUnavailable: it does not.
        """
        try:
            await self._redis.set("rate:ready", "", ex=2 * WINDOW_SECONDS)
        except (RedisError, OSError) as error:
            raise failure(self._access, error) from error

    def _count_here(self, name: str, window: int) -> int:
        """Count a request in this process, and return how many the window has; earlier windows are forgotten."""
        if window != self._here_since:
            self._here.clear()
            self._here_since = window
        self._here[name] += 1
        return self._here[name]

    async def _count(self, name: str, amount: int, most: int, seconds: int) -> float:
        now = self._clock().timestamp()
        window = int(now // seconds)
        key = f"rate:{name}:{window}"
        pipe = self._redis.pipeline(transaction=False)
        pipe.incrby(key, amount)
        pipe.expire(key, 2 * seconds)
        try:
            count, _ = await pipe.execute()
        except (RedisError, OSError) as error:
            raise failure(self._access, error) from error
        return (window + 1) * seconds - now if count > most else 0.0
