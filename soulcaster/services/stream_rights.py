"""Streams end when whoever follows them may not any more: a key is revoked, a member removed, a session ended.

A request is checked once, at its beginning. A stream lasts for minutes, so its right is checked again and again, once
for all streams of one holder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from soulcaster.errors import Unavailable

CHECK_SECONDS = 0.3
"""Pause between two checks; with the pause of whoever follows a log, a stream ends within a second."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Right:
    """The right to what is streamed: `holder` tells apart who has it and to what, `stands` says whether it still does.

    `stands` may raise Unavailable.
    """

    holder: Hashable
    stands: Callable[[], Awaitable[bool]]


class StreamRights:
    """Watches the rights of all streams of this process."""

    def __init__(self) -> None:
        self._ends: dict[Hashable, list[Callable[[], None]]] = {}
        self._watches: dict[Hashable, asyncio.Task[None]] = {}

    @property
    def watched(self) -> int:
        """How many holders of rights are watched."""
        return len(self._watches)

    @contextmanager
    def watching(self, right: Right, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` as soon as the right stands no more, until the block ends."""
        ends = self._ends.setdefault(right.holder, [])
        ends.append(end)
        if right.holder not in self._watches:
            self._watches[right.holder] = asyncio.create_task(self._watch(right, ends))
        try:
            yield
        finally:
            ends.remove(end)
            if not ends and self._ends.get(right.holder) is ends:
                self._forget(right.holder).cancel()

    async def _watch(self, right: Right, ends: list[Callable[[], None]]) -> None:
        """Check a right until it stands no more, then end its streams."""
        try:
            while True:
                if not await self._stands(right):
                    break
                await asyncio.sleep(CHECK_SECONDS)
        except Exception:
            _log.exception("a right could not be checked; its streams end")
        self._forget(right.holder)
        for end in list(ends):
            end()

    def _forget(self, holder: Hashable) -> asyncio.Task[None]:
        del self._ends[holder]
        return self._watches.pop(holder)

    async def _stands(self, right: Right) -> bool:
        try:
            return await right.stands()
        except Unavailable:
            return True  # nothing new can be read either; the check goes on when the store answers
