"""Places that projects share: a project that asks for many of them makes only itself wait."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import TypeVar

from cachetools import LRUCache

from soulcaster.errors import LimitReached

MOST_REST_SECONDS = 1.0
"""The longest rest after a turn."""

RECENT_SECONDS = 1.0
"""So long after its last turn a project counts as one that may come again at any moment."""

_REMEMBERED = 16

T = TypeVar("T")


def in_turn(of_projects: Iterable[Iterable[T]]) -> Iterator[T]:
    """Yield the first of each project, then the second of each, and so on."""
    for row in zip_longest(*([(one,) for one in of_project] for of_project in of_projects), fillvalue=()):
        for wrapped in row:
            yield from wrapped


class Turn:
    """A place that is taken until `end`; ending it twice ends it once."""

    def __init__(self, turns: "FairTurns", project_id: str, begun: float) -> None:
        self._turns: FairTurns | None = turns
        self._project_id = project_id
        self._begun = begun

    def end(self) -> None:
        """Give the place back; that of a project that crowds out others is free after its rest."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.end(self._project_id, self._begun)


class FairTurns:
    """So many places at once, at most `each` of them for one project.

    Who finds no place waits. A free place goes to the projects in turn, one each, whatever number of callers a project
    has waiting; the callers of a project come in their order.
    """

    def __init__(
        self,
        places: int,
        *,
        each: int,
        beside: int | None = None,
        waiting: int | None = None,
        rest: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Give all places.

        Args:
            places: how many there are.
            each: how many one project may have.
            beside: how many it may have while another project asks, if not as many.
            waiting: how many callers of one project may wait, None for any number.
            rest: how long a project that crowds out another one rests after a turn, in times that the turn took.
            clock: is monotonic, in seconds.
        """
        self.each = each
        self._beside = each if beside is None else beside
        self._rest = rest
        self._clock = clock
        self._free = places
        self._most_waiting = waiting
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """The waiting callers of each project; the first project is the next to be served."""
        self._served: LRUCache[str, float] = LRUCache(_REMEMBERED)
        """When a project was served last."""

    @asynccontextmanager
    async def turn(self, project_id: str) -> AsyncIterator[Turn]:
        """Wait for a place of a project, and give it back at the end of the block at the latest.

        Raises:
            LimitReached: as many callers of this project wait as may.
        """
        turn = await self.take(project_id)
        try:
            yield turn
        finally:
            turn.end()

    async def take(self, project_id: str) -> Turn:
        """Wait for a place of a project; the caller has to end the turn. Raises as `turn` does."""
        free = self.take_free(project_id)
        if free is not None:
            return free
        await self._wait(project_id)
        return Turn(self, project_id, self._clock())

    def take_free(self, project_id: str) -> Turn | None:
        """Take a place of a project if there is one now and nobody waits for it; the caller has to end the turn."""
        if not self._free or project_id in self._waiting or self._taken[project_id] >= self._most(project_id):
            return None
        self._take(project_id)
        return Turn(self, project_id, self._clock())

    def crowds_out(self, project_id: str) -> bool:
        """Return whether callers of this project wait, and another one was served within `RECENT_SECONDS`."""
        return project_id in self._waiting and self._is_beside_others(project_id)

    def _is_beside_others(self, project_id: str) -> bool:
        since = self._clock() - RECENT_SECONDS
        return any(other != project_id and at >= since for other, at in self._served.items())

    def _most(self, project_id: str) -> int:
        """Return how many places a project may have now."""
        return self._beside if self._is_beside_others(project_id) else self.each

    def end(self, project_id: str, begun: float) -> None:
        """End a turn of a project; called by `Turn.end` only."""
        if self._rest and self.crowds_out(project_id):
            rest = min(self._rest * (self._clock() - begun), MOST_REST_SECONDS)
            asyncio.get_running_loop().call_later(rest, self._give_back, project_id)
        else:
            self._give_back(project_id)

    def _give_back(self, project_id: str) -> None:
        self._free += 1
        self._taken[project_id] -= 1
        if not self._taken[project_id]:
            del self._taken[project_id]
        self._serve()

    def _take(self, project_id: str) -> None:
        self._free -= 1
        self._taken[project_id] += 1
        self._served[project_id] = self._clock()

    async def _wait(self, project_id: str) -> None:
        waiting = len(self._waiting.get(project_id, ()))
        if self._most_waiting is not None and waiting >= self._most_waiting:
            raise LimitReached("Too many requests of this project wait already; send fewer at once.")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project_id, deque()).append(place)
        self._serve()  # it may have more places by now than when the callers before it came
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._forget(project_id, place)
            else:
                self._give_back(project_id)  # it was served in the same moment
            raise

    def _forget(self, project_id: str, place: asyncio.Future[None]) -> None:
        callers = self._waiting.get(project_id, deque())
        if place in callers:  # else `_serve` has passed it over
            callers.remove(place)
            if not callers:
                del self._waiting[project_id]

    def _serve(self) -> None:
        while self._free and (project_id := self._next()) is not None:
            callers = self._waiting.pop(project_id)
            place = callers.popleft()
            if callers:
                self._waiting[project_id] = callers  # behind the other projects
            if not place.cancelled():
                self._take(project_id)
                place.set_result(None)

    def _next(self) -> str | None:
        return next((name for name in self._waiting if self._taken[name] < self._most(name)), None)
