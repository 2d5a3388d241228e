"""Following what changes: one reader a process asks Redis for all who follow, and each has a short queue of its own.

While somebody follows, the notices of all projects that are followed are asked for every half a second by one command
that never waits; while nobody does, nothing is asked. Whoever cannot keep up, or comes back after more than is kept,
is told to begin anew (`reset`): to read what is shown again, and then to go on.
"""

import asyncio
import re
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from aiohttp import web
from pydantic import TypeAdapter

from soulcaster.errors import Unavailable
from soulcaster.ports.notices import Notice
from soulcaster.ports.read_model import ReadModel
from soulcaster.web.problems import RETRY_SECONDS, Problem

POLL_SECONDS = 0.5

QUEUE = 100
"""Events that wait for one follower; more are a reset."""

PER_READ = 200
"""Notices of one project that are read at once."""

MAX_FOLLOWERS = 20
"""Streams that one key may have open on one server."""

_log = structlog.get_logger(__name__)

_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)

_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """An event for a follower; `data` is JSON, `id` where to go on after it. A `comment` has neither."""

    event: Literal["open", "changed", "reset", "comment"]
    data: str
    id: str | None = None


class Follower:
    """One who follows a project."""

    def __init__(self, project_id: str, name: str) -> None:
        """Make one; `Following.follow` does."""
        self.project_id = project_id
        self.name = name
        self._queue: deque[Told] = deque()
        self._ended = False
        self._woken = asyncio.Event()

    def put(self, told: Told) -> None:
        """Let it have an event; one too many, and all that wait give way to a reset."""
        if len(self._queue) >= QUEUE:
            if told.id is None:
                return  # a comment says nothing that has to arrive
            self._queue.clear()
            told = Told("reset", "{}", told.id)
        self._queue.append(told)
        self._woken.set()

    def put_first(self, told: Sequence[Told]) -> None:
        """Let it have events before those that wait already."""
        self._queue.extendleft(reversed(told))
        self._woken.set()

    def end(self) -> None:
        """Let it have no more than what waits."""
        self._ended = True
        self._woken.set()

    async def next(self, until: float) -> Told | None:
        """Return the next event; None at the end, or at `until` by the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                while not self._queue and not self._ended:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return None
        return self._queue.popleft() if self._queue else None


class Following:
    """All followers of this process."""

    def __init__(self, read_model: ReadModel) -> None:
        """Prepare; nothing is asked before somebody follows."""
        self._read_model = read_model
        self._followers: dict[str, set[Follower]] = defaultdict(set)
        self._at: dict[str, str] = {}
        self._names: Counter[str] = Counter()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, project_id: str, name: str, last: str | None) -> Follower:
        """Return a new follower, who is first told where it stands, and what came after `last`.

        `name` is whose it is; one name may have `MAX_FOLLOWERS`.

        Raises:
            Problem: 429 where it has them already.
            Unavailable: Redis does not answer.
        """
        if self._names[name] >= MAX_FOLLOWERS:
            headers = {"Retry-After": RETRY_SECONDS}
            raise Problem(429, f"One key may follow {MAX_FOLLOWERS} times at once, and does.", headers=headers)
        follower = Follower(project_id, name)
        self._names[name] += 1
        try:
            oldest, newest = await self._read_model.notice_span(project_id)
            # From here to where it is among the followers nothing else runs: it misses nothing and hears nothing twice.
            here = self._at.setdefault(project_id, newest)
            self._followers[project_id].add(follower)
            if self._closed:
                follower.end()
            elif self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
            follower.put_first(await self._beginning(project_id, last, here, oldest))
        except BaseException:
            self.leave(follower)
            raise
        return follower

    async def _beginning(self, project_id: str, last: str | None, here: str, oldest: str) -> list[Told]:
        """Return what a follower is told first: that it stands `here`, and what came between `last` and here."""
        opened = Told("open", "{}", here)
        if last is None or last == here:
            return [opened]
        if _ID.fullmatch(last) is None or not _place(oldest) <= _place(last) <= _place(here):
            return [opened, Told("reset", "{}", here)]
        found = (await self._read_model.notices({project_id: last}, limit=QUEUE)).get(project_id, ())
        missed = [_changed(*entry) for entry in found if _place(entry[0]) <= _place(here)]
        if len(missed) == QUEUE:
            return [opened, Told("reset", "{}", here)]
        return [Told("open", "{}", last), *missed]

    def leave(self, follower: Follower) -> None:
        """Forget a follower."""
        self._names[follower.name] -= 1
        if not self._names[follower.name]:
            del self._names[follower.name]
        followers = self._followers.get(follower.project_id, set())
        followers.discard(follower)
        if not followers:
            self._followers.pop(follower.project_id, None)
            self._at.pop(follower.project_id, None)

    async def close(self, _app: web.Application | None = None) -> None:
        """End all of it; whoever follows from now on is told where it stands and ended."""
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._end()

    def _end(self) -> None:
        for followers in self._followers.values():
            for follower in followers:
                follower.end()

    async def _read(self) -> None:
        try:
            away = False
            while self._followers:
                try:
                    more = await self._round(check=away)
                except Unavailable as error:
                    if not away:
                        _log.warning("followers hear nothing for now", cause=repr(error.__cause__ or error))
                        self._tell_all("Redis does not answer; this goes on when it does")
                    away, more = True, False
                else:
                    if away:
                        self._tell_all("Redis answers again")
                    away = False
                if not more:
                    await asyncio.sleep(POLL_SECONDS)
        except Exception:
            _log.exception("the reader of notices failed; those who follow come again")
            self._end()

    async def _round(self, *, check: bool) -> bool:
        """Pass on what is new; return whether there is more. With `check`, some may have been lost meanwhile."""
        asked = dict(self._at)
        found = await self._read_model.notices(asked, limit=PER_READ)
        full = {project_id for project_id, entries in found.items() if len(entries) == PER_READ}
        for project_id in full.union(asked if check else ()):
            oldest, newest = await self._read_model.notice_span(project_id)
            here = self._at.get(project_id)
            if here is not None and not _place(oldest) <= _place(here) <= _place(newest):
                self._at[project_id] = newest
                self._tell(project_id, Told("reset", "{}", newest))
        for project_id, entries in found.items():
            for entry in entries:
                here = self._at.get(project_id)
                if here is not None and _place(entry[0]) > _place(here):
                    self._at[project_id] = entry[0]
                    self._tell(project_id, _changed(*entry))
        return bool(full)

    def _tell(self, project_id: str, told: Told) -> None:
        for follower in self._followers.get(project_id, ()):
            follower.put(told)

    def _tell_all(self, comment: str) -> None:
        for project_id in self._followers:
            self._tell(project_id, Told("comment", comment))


FOLLOWING = web.AppKey("following", Following)


def _place(notice_id: str) -> tuple[int, int]:
    at, _, number = notice_id.partition("-")
    return int(at), int(number)


def _changed(notice_id: str, notice: Notice) -> Told:
    return Told("changed", _NOTICE.dump_json(notice).decode(), notice_id)
