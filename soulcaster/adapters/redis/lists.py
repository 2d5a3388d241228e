"""Parts of long lists in Redis: sorted sets, highest score first, narrowed down by other sorted sets and by words.

One sorted set is read by rank, however long it is. Where several are asked for at once, or words, the shortest of them
is looked through from its top on, `MOST_MEMBERS` at most and `MOST_BYTES` of texts: a part may then hold less than its
limit, or nothing, and still say where the list goes on. How long the list is, is known where all of it was looked at.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from redis.asyncio import Redis

from soulcaster.ports.paging import Page

T = TypeVar("T")

MOST_MEMBERS = 10_000
MOST_BYTES = 4 * 1024 * 1024

_CHUNK = 200
"""Members looked at in one go; their texts are in memory meanwhile."""

Said = Callable[[Sequence[str]], Awaitable[list[str | None]]]
"""Gives the texts in which words are looked for, None for a member that has gone."""

_Pair = tuple[str, float]


@dataclass(frozen=True, slots=True)
class ListRange:
    """Which part is asked for: so many, from an offset on or after a cursor, nothing of a lower score than `lowest`."""

    limit: int
    offset: int
    after: str | None
    lowest: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Part:
    """Members of a list; see `ports.Page` for the rest."""

    ids: tuple[str, ...]
    total: int
    next: str | None
    counted: bool = True

    def of(self, items: tuple[T, ...]) -> Page[T]:
        """Return the page of what these members stand for."""
        return Page(items, self.total, self.next, self.counted)


async def read_part(redis: Redis, key: str, window: ListRange) -> Part:
    """Return a part of one sorted set."""
    start = await _start(redis, key, window)
    pipe = redis.pipeline(transaction=False)
    pipe.zrevrange(key, start, start + window.limit - 1, withscores=True)
    pipe.zcount(key, _score(window.lowest), "+inf")
    found, total = await pipe.execute()
    pairs = [pair for pair in cast(list[_Pair], found) if pair[1] >= window.lowest]
    last = start + len(pairs) >= total or not pairs
    return Part(tuple(member for member, _ in pairs), total, None if last else _cursor(pairs[-1]))


async def narrowed(redis: Redis, keys: Sequence[str], window: ListRange, words: Sequence[str], said: Said) -> Part:
    """Return a part of what is in all these sorted sets, whose scores are the same, and whose text holds all words."""
    if len(keys) == 1 and not words:
        return await read_part(redis, keys[0], window)
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.zcount(key, _score(window.lowest), "+inf")
    size, shortest = min(zip(await pipe.execute(), range(len(keys)), strict=True))
    looking = _Looking(redis, [key for n, key in enumerate(keys) if n != shortest], words, said)
    start = await _start(redis, keys[shortest], window) if window.after is not None else 0
    whole = size <= MOST_MEMBERS
    first = 0 if whole else start
    top = await redis.zrevrange(keys[shortest], first, first + MOST_MEMBERS - 1, withscores=True)
    pairs = [pair for pair in cast(list[_Pair], top) if pair[1] >= window.lowest]
    shown = _Shown(window.limit, window.offset if window.after is None else _split(window.after)[2])

    done = await _look(looking, pairs[start - first :], shown.take, lambda: shown.full and not whole)
    passed = _Shown(0, 0)  # what fits before the cursor counts as well
    counted = done and whole and await _look(looking, pairs[: start - first], passed.take, lambda: False)
    ended = done and first + len(pairs) >= size
    return Part(tuple(shown.members), shown.seen + passed.seen, shown.next(ended=ended), counted)


async def _look(
    looking: "_Looking", pairs: Sequence[_Pair], take: Callable[[_Pair, bool], None], enough: Callable[[], bool]
) -> bool:
    """Look at members in turn, chunk by chunk; tell whether all of them were looked at."""
    for first in range(0, len(pairs), _CHUNK):
        if first and (enough() or looking.bytes >= MOST_BYTES):
            return False
        chunk = pairs[first : first + _CHUNK]
        fitting = await looking.fitting([member for member, _ in chunk])
        for pair in chunk:
            take(pair, pair[0] in fitting)
    return True


@dataclass(slots=True)
class _Looking:
    """Tells which members are in all the other sorted sets and say all words; counts the bytes of what they say."""

    redis: Redis
    others: Sequence[str]
    words: Sequence[str]
    said: Said
    bytes: int = 0

    async def fitting(self, members: Sequence[str]) -> set[str]:
        left = list(members)
        if self.others:
            pipe = self.redis.pipeline(transaction=False)
            for key in self.others:
                pipe.zmscore(key, left)
            scores = zip(*await pipe.execute(), strict=True)
            left = [member for member, of in zip(left, scores, strict=True) if None not in of]
        if self.words and left:
            texts = await self.said(left)
            self.bytes += sum(len(text) for text in texts if text is not None)
            left = [m for m, text in zip(left, texts, strict=True) if text is not None and _says(text, self.words)]
        return set(left)


@dataclass(slots=True)
class _Shown:
    """What fits, after so many that are skipped: the first `limit` of it, how many there were, and where it stands."""

    limit: int
    skip: int
    members: list[str] = field(default_factory=list)
    seen: int = 0
    _last: _Pair | None = None
    _more: bool = False

    @property
    def full(self) -> bool:
        return len(self.members) >= self.limit

    def take(self, pair: _Pair, fits: bool) -> None:
        self.seen += fits
        if self.full:
            self._more |= fits
            return
        self._last = pair
        if fits and self.skip:
            self.skip -= 1
        elif fits:
            self.members.append(pair[0])

    def next(self, *, ended: bool) -> str | None:
        """Return the cursor of what follows; None where the list has ended and nothing more of it fits."""
        if self._last is None or (ended and not self._more):
            return None
        return _cursor(self._last, self.skip)


def _says(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word.casefold() in folded for word in words)


async def _start(redis: Redis, key: str, window: ListRange) -> int:
    """Return the rank at which a part begins."""
    if window.after is None:
        return window.offset
    member, score, _ = _split(window.after)
    pipe = redis.pipeline(transaction=False)
    pipe.zrevrank(key, member)
    pipe.zcount(key, f"({_score(score)}", "+inf")
    rank, above = await pipe.execute()
    return cast(int, above if rank is None else rank + 1)  # it may be gone: then on from where it stood


def _score(value: float) -> str:
    return "-inf" if value == float("-inf") else repr(value)


def _cursor(pair: _Pair, skip: int = 0) -> str:
    """Return where a list goes on: after this member, with so many that fit still to be skipped."""
    member, score = pair
    return f"{member}~{score!r}" + (f"~{skip}" if skip else "")


def _split(cursor: str) -> tuple[str, float, int]:
    """Return the member, the score and the skip that a cursor stands for."""
    member, score, skip = [*cursor.split("~"), "0"][:3]
    return member, float(score), int(skip)
