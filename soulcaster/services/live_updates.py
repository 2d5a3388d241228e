"""Live updates: what changes in a project, sent to everybody who subscribes to it.

One reader per process asks Redis for the notices of all projects that have subscribers, every half second, by one
command that never blocks. Without subscribers it asks for nothing. Each subscriber has a short queue of its own. A
subscriber that cannot keep up, or that comes back after more than Redis keeps, gets a `reset`: read everything that is
shown again, then go on.
"""

import asyncio
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from pydantic import TypeAdapter

from soulcaster.errors import LimitReached, Unavailable
from soulcaster.ports.notices import Notice, NoticeReader

POLL_SECONDS = 0.5
"""Pause between two reads of notices."""

MAX_QUEUED = 100
"""Updates that wait for one subscriber; one more turns all of them into a reset."""

MAX_QUEUED_BYTES = 256 * 1024
"""Bytes of the updates that wait for one subscriber; more turns all of them into a reset, too."""

MAX_NOTICES = 200
"""Notices of one project that are read at once."""

MAX_SUBSCRIPTIONS = 20
"""Subscriptions that one name may have at once in this process."""

_log = structlog.get_logger(__name__)

_NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)

_NOTICE_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """What a subscriber receives: `data` is JSON, `id` the notice to go on after. A comment has text and no id."""

    event: Literal["open", "changed", "reset", "comment"]
    data: str
    id: str | None = None


class Subscriber:
    """One subscription to a project; `name` is whose it is."""

    def __init__(self, project_id: str, name: str) -> None:
        self.project_id = project_id
        self.name = name
        self._queue: deque[LiveUpdate] = deque()
        self._bytes = 0
        self._ended = False
        self._woken = asyncio.Event()

    def put(self, update: LiveUpdate) -> None:
        """Queue an update, unless this has ended; where the queue is full, one reset replaces all of it."""
        if self._ended:
            return
        if len(self._queue) >= MAX_QUEUED or self._bytes + len(update.data) > MAX_QUEUED_BYTES:
            if update.id is None:
                return  # a comment may be lost
            self._queue.clear()
            self._bytes = 0
            update = LiveUpdate("reset", "{}", update.id)
        self._queue.append(update)
        self._bytes += len(update.data)
        self._woken.set()

    def put_first(self, updates: Sequence[LiveUpdate]) -> None:
        """Queue updates before those that wait already."""
        self._queue.extendleft(reversed(updates))
        self._bytes += sum(len(update.data) for update in updates)
        self._woken.set()

    def end(self) -> None:
        """End the subscription after the updates that wait."""
        self._ended = True
        self._woken.set()

    def cut_off(self) -> None:
        """End the subscription at once: what waits is not sent."""
        self._queue.clear()
        self._bytes = 0
        self.end()

    async def next(self, deadline: float) -> LiveUpdate | None:
        """Return the next update; None at the end of the subscription, or at `deadline` by the event loop's clock."""
        try:
            async with asyncio.timeout_at(deadline):
                while not self._queue and not self._ended:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return None
        if not self._queue:
            return None
        update = self._queue.popleft()
        self._bytes -= len(update.data)
        return update


class LiveUpdates:
    """All subscriptions of this process, and the one reader of notices."""

    def __init__(self, notices: NoticeReader) -> None:
        self._notices = notices
        self._subscribers: dict[str, set[Subscriber]] = defaultdict(set)
        self._positions: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    def subscribers(self) -> Iterator[Subscriber]:
        """Yield every present subscriber."""
        for of_project in list(self._subscribers.values()):
            yield from list(of_project)

    def subscriptions(self, name: str) -> int:
        """Return how many subscriptions a name has."""
        return self._counts[name]

    def position(self, project_id: str) -> str | None:
        """Return the id of the newest notice that was read of a project; None where nobody subscribes to it."""
        return self._positions.get(project_id)

    @property
    def reading(self) -> bool:
        """Whether the reader runs."""
        return self._reader is not None and not self._reader.done()

    async def subscribe(self, project_id: str, name: str, last_id: str | None) -> Subscriber:
        """Return a new subscriber; its first updates are `open` and what came after the notice `last_id`.

        Raises:
            LimitReached: this name has `MAX_SUBSCRIPTIONS` already.
            Unavailable: Redis does not answer.
        """
        if self._counts[name] >= MAX_SUBSCRIPTIONS:
            raise LimitReached(f"One API key may follow {MAX_SUBSCRIPTIONS} streams at once; close another one first.")
        subscriber = Subscriber(project_id, name)
        self._counts[name] += 1
        try:
            oldest, newest = await self._notices.span(project_id)
            # Nothing awaits between here and the addition, so the subscriber misses nothing and hears nothing twice.
            position = self._positions.setdefault(project_id, newest)
            self._subscribers[project_id].add(subscriber)
            if self._closed:
                subscriber.end()
            elif not self.reading:
                self._reader = asyncio.create_task(self.read_while_subscribed())
            subscriber.put_first(await self._first_updates(project_id, last_id, position, oldest))
        except BaseException:
            self.unsubscribe(subscriber)
            raise
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        self._counts[subscriber.name] -= 1
        if not self._counts[subscriber.name]:
            del self._counts[subscriber.name]
        of_project = self._subscribers.get(subscriber.project_id, set())
        of_project.discard(subscriber)
        if not of_project:
            self._subscribers.pop(subscriber.project_id, None)
            self._positions.pop(subscriber.project_id, None)

    async def close(self) -> None:
        """Stop the reader and end all subscriptions, those that begin later as well."""
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._end_all()

    async def read_while_subscribed(self) -> None:
        """Pass on new notices until nobody subscribes; `subscribe` starts it."""
        try:
            redis_is_away = False
            # A client may swallow the cancellation of a read that has just ended; `close` must not wait for ever then.
            while self._subscribers and not self._closed:
                try:
                    more = await self.pass_on(check_for_gaps=redis_is_away)
                except Unavailable as error:
                    if not redis_is_away:
                        _log.warning("live updates stop: Redis does not answer", cause=repr(error.__cause__ or error))
                        self._comment("Redis does not answer; this goes on when it does")
                    redis_is_away, more = True, False
                else:
                    if redis_is_away:
                        self._comment("Redis answers again")
                    redis_is_away = False
                if not more:
                    await asyncio.sleep(POLL_SECONDS)
        except Exception:
            _log.exception("the reader of notices failed; subscribers have to come back")
            self._end_all()

    async def pass_on(self, *, check_for_gaps: bool) -> bool:
        """Read new notices once and queue them for their subscribers; return whether there are more.

        With `check_for_gaps`, or where a project had more than fits one read, subscribers get a reset if Redis has
        dropped notices that were not read yet.

        Raises:
            Unavailable: Redis does not answer.
        """
        positions = dict(self._positions)
        found = await self._notices.after(positions, limit=MAX_NOTICES)
        full = {project_id for project_id, notices in found.items() if len(notices) == MAX_NOTICES}
        for project_id in full.union(positions if check_for_gaps else ()):
            oldest, newest = await self._notices.span(project_id)
            position = self._positions.get(project_id)
            if position is not None and not _order(oldest) <= _order(position) <= _order(newest):
                self._positions[project_id] = newest
                self._send(project_id, LiveUpdate("reset", "{}", newest))
        for project_id, notices in found.items():
            for notice_id, notice in notices:
                position = self._positions.get(project_id)
                if position is not None and _order(notice_id) > _order(position):
                    self._positions[project_id] = notice_id
                    self._send(project_id, _changed(notice_id, notice))
        return bool(full)

    async def _first_updates(
        self, project_id: str, last_id: str | None, position: str, oldest: str
    ) -> Sequence[LiveUpdate]:
        """Return `open` at the project's position, and what the subscriber missed between `last_id` and there."""
        opened = LiveUpdate("open", "{}", position)
        if last_id is None or last_id == position:
            return [opened]
        if _NOTICE_ID.fullmatch(last_id) is None or not _order(oldest) <= _order(last_id) <= _order(position):
            return [opened, LiveUpdate("reset", "{}", position)]
        found = (await self._notices.after({project_id: last_id}, limit=MAX_QUEUED)).get(project_id, ())
        missed = [_changed(*entry) for entry in found if _order(entry[0]) <= _order(position)]
        if len(missed) == MAX_QUEUED or sum(len(update.data) for update in missed) > MAX_QUEUED_BYTES:
            return [opened, LiveUpdate("reset", "{}", position)]
        return [LiveUpdate("open", "{}", last_id), *missed]

    def _end_all(self) -> None:
        for subscriber in self.subscribers():
            subscriber.end()

    def _send(self, project_id: str, update: LiveUpdate) -> None:
        for subscriber in self._subscribers.get(project_id, ()):
            subscriber.put(update)

    def _comment(self, text: str) -> None:
        for subscriber in self.subscribers():
            subscriber.put(LiveUpdate("comment", text))


def _order(notice_id: str) -> tuple[int, int]:
    """Return what notice ids are compared by: time in ms, then a counter."""
    at, _, number = notice_id.partition("-")
    return int(at), int(number)


def _changed(notice_id: str, notice: Notice) -> LiveUpdate:
    return LiveUpdate("changed", _NOTICE.dump_json(notice).decode(), notice_id)
