"""Parts of long lists in Redis: sorted sets, highest score first, filtered by other sorted sets and by words.

A single sorted set is read by rank, however long it is. With several sets, or with words, the shortest set is searched
from its top, at most `MOST_MEMBERS` members and `MOST_BYTES` of texts. A part may then hold fewer members than its
limit, or none, and still have a cursor. The length of the list is known only if all of it was searched. Words have no
index, because plain Redis has none.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from soulcaster.adapters.redis.typed import Commands, Scored
from soulcaster.ports.paging import Page
from soulcaster.services.threads import away

T = TypeVar("T")

MOST_MEMBERS = 10_000
"""Members that one call searches at most."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of texts that one call searches at most."""

_CHUNK = 200
"""Members that are searched together; their texts are in memory meanwhile, and others wait."""

_RANKS = 1_000
"""Members of a sorted set that one reply has."""

TextsOf = Callable[[Sequence[str]], Awaitable[list[str | None]]]
"""Returns the text of each member to search for words, None for a deleted member; of the first members only, at least
of one, where their texts are long."""


@dataclass(frozen=True, slots=True)
class ListRange:
    """The requested part: `limit` members from `offset`, or after a cursor; no score is below `lowest`."""

    limit: int
    offset: int
    after: str | None
    lowest: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Part:
    """Members of a list; the rest is as in `ports.paging.Page`."""

    members: tuple[Scored, ...]
    total: int
    next: str | None
    counted: bool = True

    @property
    def ids(self) -> tuple[str, ...]:
        """The members without their scores."""
        return tuple(member for member, _ in self.members)

    def first(self, count: int) -> "Part":
        """Return the part that ends after so many of its members."""
        if count >= len(self.members):
            return self
        return replace(self, members=self.members[:count], next=_cursor(self.members[count - 1]))

    def page(self, items: Mapping[str, T]) -> Page[T]:
        """Return the page with the items of those members that have one."""
        found = [pair for pair in self.members if pair[0] in items]
        cursors = tuple(map(_cursor, found))
        return Page(tuple(items[member] for member, _ in found), self.total, self.next, self.counted, cursors)


async def read_part(redis: Commands, key: str, part: ListRange) -> Part:
    """Return a part of one sorted set, in one round trip, or two with a cursor."""
    start = await _start(redis, key, part)
    pipe = redis.pipeline()
    found = pipe.zrevscored(key, start, start + part.limit - 1)
    total = pipe.zcount(key, _score(part.lowest), "+inf")
    await pipe.execute()
    pairs = [pair for pair in found.value if pair[1] >= part.lowest]
    last = start + len(pairs) >= total.value or not pairs
    return Part(tuple(pairs), total.value, None if last else _cursor(pairs[-1]))


async def narrowed(
    redis: Commands, keys: Sequence[str], part: ListRange, words: Sequence[str], texts_of: TextsOf
) -> Part:
    """Return a part of the members that are in all these sorted sets, and whose texts contain all words.

    The scores of a member are the same in all of them.
    """
    if len(keys) == 1 and not words:
        return await read_part(redis, keys[0], part)
    pipe = redis.pipeline()
    sizes = [pipe.zcount(key, _score(part.lowest), "+inf") for key in keys]
    await pipe.execute()
    size, shortest = min((count.value, position) for position, count in enumerate(sizes))
    filters = _Filter(redis, [key for n, key in enumerate(keys) if n != shortest], words, texts_of)
    start = await _start(redis, keys[shortest], part) if part.after is not None else 0
    whole = size <= MOST_MEMBERS
    first = 0 if whole else start
    pairs = [pair for pair in await _top(redis, keys[shortest], first) if pair[1] >= part.lowest]
    shown = _Shown(part.limit, part.offset if part.after is None else _split(part.after)[2])

    done = await _look(filters, pairs[start - first :], shown.take, lambda: shown.full and not whole)
    passed = _Shown(0, 0)  # members before the cursor count in the total
    counted = done and whole and await _look(filters, pairs[: start - first], passed.take, lambda: False)
    ended = done and first + len(pairs) >= size
    return Part(tuple(shown.members), shown.seen + passed.seen, shown.next(ended=ended), counted)


async def _top(redis: Commands, key: str, first: int) -> Sequence[Scored]:
    """Return the `MOST_MEMBERS` from a rank on, in one round trip; each once, whatever changes meanwhile."""
    pipe = redis.pipeline()
    end = first + MOST_MEMBERS
    found = [pipe.zrevscored(key, rank, min(rank + _RANKS, end) - 1) for rank in range(first, end, _RANKS)]
    await pipe.execute()
    return list(dict(pair for some in found for pair in some.value).items())


async def _look(
    filters: "_Filter", pairs: Sequence[Scored], take: Callable[[Scored, bool], None], enough: Callable[[], bool]
) -> bool:
    """Search members in turn, chunk by chunk; return whether all of them were searched."""
    first = 0
    while first < len(pairs):
        if first and (enough() or filters.bytes >= MOST_BYTES):
            return False
        chunk = pairs[first : first + _CHUNK]
        searched, passing = await filters.passing([member for member, _ in chunk])
        for pair in chunk[:searched]:
            take(pair, pair[0] in passing)
        first += searched
    return True


@dataclass(slots=True)
class _Filter:
    """Passes members that are in all the other sorted sets and contain all words; counts the bytes of their texts."""

    redis: Commands
    others: Sequence[str]
    words: Sequence[str]
    texts_of: TextsOf
    bytes: int = 0

    async def passing(self, members: Sequence[str]) -> tuple[int, set[str]]:
        """Return how many of the first members were searched, all unless their texts are long; and who passes."""
        left, searched = list(members), len(members)
        if self.others:
            pipe = self.redis.pipeline()
            scores = [pipe.zmscore(key, left) for key in self.others]
            await pipe.execute()
            of_each = zip(*(of.value for of in scores), strict=True)
            left = [member for member, found in zip(left, of_each, strict=True) if None not in found]
        if self.words and left:
            texts = await self.texts_of(left)
            self.bytes += sum(len(text) for text in texts if text is not None)
            if len(texts) < len(left):
                searched = members.index(left[len(texts)])
            left = await away(
                sum(len(text) for text in texts if text is not None), partial(_containing, left, texts, self.words)
            )
        return searched, set(left)


@dataclass(slots=True)
class _Shown:
    """The members that pass the filters: the first `limit` after `skip`, and how many passed in total."""

    limit: int
    skip: int
    members: list[Scored] = field(default_factory=list)
    seen: int = 0
    _last: Scored | None = None
    _more: bool = False

    @property
    def full(self) -> bool:
        return len(self.members) >= self.limit

    def take(self, pair: Scored, passes: bool) -> None:
        self.seen += passes
        if self.full:
            self._more |= passes
            return
        self._last = pair
        if passes and self.skip:
            self.skip -= 1
        elif passes:
            self.members.append(pair)

    def next(self, *, ended: bool) -> str | None:
        """Return the cursor of the next part; None if the list has ended and no other member passes."""
        if self._last is None or (ended and not self._more):
            return None
        return _cursor(self._last, self.skip)


def _containing(members: Sequence[str], texts: Sequence[str | None], words: Sequence[str]) -> list[str]:
    """Return the members whose text contains all words."""
    found = zip(members, texts, strict=False)
    return [member for member, text in found if text is not None and _contains(text, words)]


def _contains(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word.casefold() in folded for word in words)


async def _start(redis: Commands, key: str, part: ListRange) -> int:
    """Return the rank at which a part begins."""
    if part.after is None:
        return part.offset
    member, score, _ = _split(part.after)
    pipe = redis.pipeline()
    rank = pipe.zrevrank(key, member)
    above = pipe.zcount(key, f"({_score(score)}", "+inf")
    await pipe.execute()
    # The score of a deleted member still marks the position: the part begins below it.
    return above.value if rank.value is None else rank.value + 1


def _score(value: float) -> str:
    return "-inf" if value == float("-inf") else repr(value)


def _cursor(pair: Scored, skip: int = 0) -> str:
    """Return the cursor after a member, with the number of passing members still to skip."""
    member, score = pair
    return f"{member}~{score!r}" + (f"~{skip}" if skip else "")


def _split(cursor: str) -> tuple[str, float, int]:
    """Return the member, the score and the skip of a cursor."""
    member, score, skip = [*cursor.split("~"), "0"][:3]
    return member, float(score), int(skip)
