"""The Reddit poller: reads listings and posts what is new to our HTTP API, as a client like any other.

It knows neither Kafka nor Redis. What is polled, where it goes on and how it fares are the API's to keep
(`/config/reddit/subreddits`, `/sources/reddit/cursor`), so it can be stopped and started anywhere: a reading that was
not finished is done again, and what is posted twice is one item.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from soulcaster.domain.ids import item_id
from soulcaster.domain.source_state import MAX_ERROR
from soulcaster.errors import ApiRefuses, BadInput, NotFound, SoulcasterError
from soulcaster.pollers.addresses import address
from soulcaster.pollers.api_client import ApiClient, SourceReport, until_available
from soulcaster.pollers.reading import Mark, Reading, Taken, item
from soulcaster.pollers.reddit_client import Later, RedditClient, Refused, Unchanged
from soulcaster.pollers.running import run_until_told
from soulcaster.pollers.schedule import Listing, Schedule
from soulcaster.processes.settings import Settings

SOURCE = "reddit"

LOOK_SECONDS = 3.0
"""How often the API is asked what is polled, and whether somebody wants it now."""

BLOCKED_SECONDS = 3_600.0
"""What Reddit refuses is asked for again after so long, after a kick, or by a new start."""

REPORT_SECONDS = 60.0
"""A report that only says that all is still well comes so often at most."""

log = structlog.get_logger(__name__)


class _Cursor(BaseModel):
    """What the API keeps: the newest accepted post of each subreddit's `new`, by its id and when it was posted.

    The other listings have no order in time, so there is nothing to go on from: after a start they are read anew.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    newest: dict[str, tuple[str, float]] = {}


class _Kept(SoulcasterError):
    """The API will not delete it."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a listing cannot be read now."""

    status: Literal["failing", "blocked"]
    reason: str


@dataclass(slots=True)
class _Project:
    """A project whose Reddit is polled: what was reported of it, and what is to be."""

    kicked_at: datetime | None
    newest: dict[str, Mark]
    last_error: str | None
    last_error_at: datetime | None
    polled_at: datetime | None
    listings: frozenset[Listing] = frozenset()
    troubles: dict[Listing, _Trouble] = field(default_factory=dict)
    changed: bool = False
    """There is more to report than that all is still well."""

    reported_at: float | None = None


class RedditPoller:
    """Polls for every project that the API shows; `look` and `step` each do one round of the work, one at a time."""

    def __init__(
        self,
        api: ApiClient,
        reddit: RedditClient,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare. `clock` is in seconds and does not go back; `chance` gives 0 to 1, for the jitter of waits."""
        self._api = api
        self._reddit = reddit
        self._clock = clock
        self._now = now
        self._schedule = Schedule(reddit.pause, chance)
        self._projects: dict[str, _Project] = {}
        self._idle: set[str] = set()
        self._readings: dict[Listing, Reading] = {}
        """Those that have begun and not ended."""
        self._ended: dict[Listing, Reading] = {}
        """The last one of each listing that came to its end."""
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BadInput: the API does not take what is asked; it may be no Soulcaster, or one of another version.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_looking())
                tasks.create_task(self._keep_polling())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _keep_looking(self) -> None:
        while True:
            await self.look()
            self._looked.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _keep_polling(self) -> None:
        while True:
            self._looked.clear()
            wait = await self.step()
            if wait != 0:
                with suppress(TimeoutError):  # it has waited long enough
                    await asyncio.wait_for(self._looked.wait(), wait)

    # ---- what is polled --------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Ask the API what is polled, and who wants it now; returns when the API has answered."""
        ids = await until_available(self._api.projects)
        self._idle &= set(ids)
        for gone in self._projects.keys() - set(ids):
            self._forget(gone)
        for project_id in ids:
            try:
                await self._look_at(project_id)
            except NotFound:
                self._forget(project_id)

    async def _look_at(self, project_id: str) -> None:
        polling = await until_available(lambda: self._api.polling(project_id))
        names = dict.fromkeys(polling.subreddits if polling.enabled else ())
        listings = frozenset(Listing(project_id, name, sort) for name in names for sort in polling.sorts)
        if not listings:
            self._forget(project_id)
            if project_id not in self._idle:
                self._idle.add(project_id)
                log.info("no subreddits are set for this project, or Reddit is off in it", project=project_id)
            return
        self._idle.discard(project_id)
        stands = await until_available(lambda: self._api.source(project_id, SOURCE))
        project = self._projects.get(project_id)
        if project is None:
            project = self._projects[project_id] = _Project(
                stands.kicked_at,
                _newest(project_id, stands.cursor),
                stands.last_error,
                stands.last_error_at,
                stands.polled_at,
            )
        now = self._clock()
        if listings != project.listings:
            log.info("polled", project=project_id, listings=sorted(map(str, listings)))
            self._leave(project.listings - listings)
            project.newest = {name: mark for name, mark in project.newest.items() if name in names}
            project.troubles = {one: trouble for one, trouble in project.troubles.items() if one in listings}
            project.listings, project.changed = listings, True
        self._schedule.plan(project_id, listings, polling.interval_seconds, now)
        if stands.kicked_at != project.kicked_at:
            project.kicked_at = stands.kicked_at
            self._schedule.kick(project_id, now)

    def _forget(self, project_id: str) -> None:
        project = self._projects.pop(project_id, None)
        if project is not None:
            self._schedule.plan(project_id, (), 0.0, self._clock())
            self._leave(project.listings)

    def _leave(self, listings: frozenset[Listing]) -> None:
        for listing in listings:
            self._readings.pop(listing, None)
            self._ended.pop(listing, None)

    # ---- polling ---------------------------------------------------------------------------------------------------

    async def step(self) -> float | None:
        """Ask Reddit once, if it is time to, and post what is new.

        Returns:
            Seconds until there is something to do, None where nothing is polled.
        """
        started = self._clock()
        listing = self._schedule.next(started)
        if listing is not None:
            self._schedule.sent(listing, started)
            try:
                await self._ask(listing, self._projects[listing.project_id])
            except NotFound:  # the project is gone
                self._forget(listing.project_id)
        return self._schedule.wait(self._clock())

    async def _ask(self, listing: Listing, project: _Project) -> None:
        reading = self._readings.get(listing) or self._begin(listing, project)
        ended = self._ended.get(listing)
        answer = await self._reddit.page(
            listing.subreddit,
            listing.sort,
            after=reading.after,
            validators=ended.validators if ended is not None and not reading.pages else None,
        )
        self._schedule.hold(self._clock(), answer.hold)
        if self._readings.get(listing) is not reading:
            return  # it is not polled any more
        match answer.outcome:
            case Later() as later:
                wait = self._schedule.failed(listing, self._clock(), later.asked)
                if later.everyone:
                    self._schedule.hold(self._clock(), wait)
                self._trouble(listing, _Trouble("failing", later.reason))
                log.warning("not read", listing=str(listing), reason=later.reason, again_in=round(wait, 1))
            case Refused() as refused:
                self._block(listing, refused)
            case Unchanged():
                self._end(listing, project, None)
            case page:
                taken = reading.take(page)
                await self._deliver(listing, project, reading, taken)
                if self._readings.get(listing) is not reading:
                    return
                if taken.after is None:
                    self._end(listing, project, reading)
                else:
                    self._schedule.more(listing, self._clock())
        await self._report()

    def _begin(self, listing: Listing, project: _Project) -> Reading:
        ended = self._ended.get(listing)
        in_order = listing.sort == "new"
        reading = Reading(
            in_order, project.newest.get(listing.subreddit) if in_order else None, ended.seen if ended else {}
        )
        self._readings[listing] = reading
        return reading

    def _end(self, listing: Listing, project: _Project, reading: Reading | None) -> None:
        """All that a reading brought is accepted; None where there was nothing to be read."""
        self._readings.pop(listing, None)
        self._schedule.read(listing, self._clock())
        project.polled_at = self._now()
        if project.troubles.pop(listing, None) is not None:
            project.changed = True
        if reading is None:
            return
        self._ended[listing] = reading
        mark = reading.mark()
        if listing.sort == "new" and mark is not None and mark != project.newest.get(listing.subreddit):
            project.newest[listing.subreddit] = mark
            project.changed = True

    async def _deliver(self, listing: Listing, project: _Project, reading: Reading, taken: Taken) -> None:
        """Post what is new and delete what was removed; returns once the API has all of it that it will ever take."""
        to = listing.project_id
        items = [item(post) for post in taken.posts]
        refused = await until_available(lambda: self._api.post(to, SOURCE, items)) if items else {}
        left_out = [f"post {items[place]['external_id']} was left out: {reason}" for place, reason in refused.items()]
        left_out += [f"a post was left out: {fault}" for fault in taken.faults]
        for external_id in taken.removed:
            try:
                await self._delete(to, external_id)
            except NotFound:  # it was never here; or it is still on its way, so it is asked for again
                reading.seen.pop(external_id, None)
            except _Kept as kept:
                left_out.append(f"post {external_id} was removed at Reddit and is kept here: {kept}")
        if items or taken.removed:
            log.info(
                "posted",
                project=to,
                listing=str(listing),
                posts=len(items) - len(refused),
                removed=len(taken.removed),
                left_out=len(left_out),
            )
        if left_out:
            self._say(project, f"{listing}: " + "; ".join(left_out))

    async def _delete(self, project_id: str, external_id: str) -> None:
        """Delete what was removed at Reddit.

        Raises:
            NotFound: it is not here.
            _Kept: the API will not, because of the key or otherwise.
        """

        async def delete() -> None:
            try:
                await self._api.delete(project_id, item_id(project_id, SOURCE, external_id))
            except (ApiRefuses, BadInput) as error:  # that is no reason to wait, or to end
                raise _Kept(str(error)) from error

        await until_available(delete)

    def _block(self, listing: Listing, refused: Refused) -> None:
        """Leave alone what Reddit refuses, for every project: the subreddit, or all there is."""
        now = self._clock()
        for project in self._projects.values():
            for one in project.listings:
                if refused.everyone or one.subreddit == listing.subreddit:
                    self._schedule.block(one, now, BLOCKED_SECONDS)
                    self._readings.pop(one, None)
                    self._trouble(one, _Trouble("blocked", refused.reason))
        which = "Reddit" if refused.everyone else f"r/{listing.subreddit}"
        log.warning("refused", what=which, reason=refused.reason, again_in=BLOCKED_SECONDS)

    # ---- what is reported ------------------------------------------------------------------------------------------

    def _trouble(self, listing: Listing, trouble: _Trouble) -> None:
        project = self._projects[listing.project_id]
        if project.troubles.get(listing) != trouble:
            project.troubles[listing] = trouble
            self._say(project, _sentence(project.troubles))

    def _say(self, project: _Project, error: str) -> None:
        project.last_error, project.last_error_at, project.changed = error[:MAX_ERROR], self._now(), True

    async def _report(self) -> None:
        """Report what has changed."""
        for project_id, project in list(self._projects.items()):
            now = self._clock()
            if project.changed or project.reported_at is None or now - project.reported_at >= REPORT_SECONDS:
                project.changed, project.reported_at = False, now
                try:
                    await until_available(lambda: self._api.report(project_id, SOURCE, _report_of(project)))  # noqa: B023
                except NotFound:
                    self._forget(project_id)


def _report_of(project: _Project) -> SourceReport:
    statuses = {trouble.status for trouble in project.troubles.values()}
    return SourceReport(
        cursor=_Cursor(newest={name: (mark.id, mark.at) for name, mark in project.newest.items()}).model_dump(),
        status="blocked" if "blocked" in statuses else "failing" if statuses else "ok",
        polled_at=project.polled_at,
        last_error=project.last_error,
        last_error_at=project.last_error_at,
    )


def _sentence(troubles: Mapping[Listing, _Trouble]) -> str:
    """Return what cannot be read and why, what is blocked first."""
    named: dict[_Trouble, list[str]] = defaultdict(list)
    for listing, trouble in sorted(troubles.items(), key=lambda one: (one[1].status != "blocked", str(one[0]))):
        named[trouble].append(str(listing))
    return "; ".join(f"{', '.join(names)}: {trouble.reason}" for trouble, names in named.items())


def _newest(project_id: str, cursor: Mapping[str, Any] | None) -> dict[str, Mark]:
    """Return where a poller before us was."""
    try:
        newest = _Cursor.model_validate(cursor or {}).newest
    except ValidationError:
        log.warning("what the API has for a cursor is none of ours, so all is read anew", project=project_id)
        return {}
    return {name: Mark(*mark) for name, mark in newest.items()}


def run(settings: Settings) -> None:
    """Poll until told to stop (SIGTERM, SIGINT); blocks.

    Raises:
        BadInput: a setting cannot be used, or the API does not take what a poller asks.
    """
    run_until_told(_poll(settings))  # told to stop: a reading under way is done again by the next start


async def _poll(settings: Settings) -> None:
    backend = address("BACKEND_URL", settings.backend_url or f"http://127.0.0.1:{settings.port}")
    async with (
        aiohttp.ClientSession() as ours,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as theirs,
    ):
        reddit = RedditClient(theirs, settings, clock=time.monotonic)
        log.info("Reddit poller starts", api=str(backend), reddit=reddit.way, user_agent=reddit.user_agent)
        if not settings.reddit_user:
            log.warning("SOULCASTER_REDDIT_USER is not set; Reddit wants to know who asks")
        poller = RedditPoller(
            ApiClient(ours, backend, settings.api_key), reddit, clock=time.monotonic, now=lambda: datetime.now(UTC)
        )
        await poller.run()
