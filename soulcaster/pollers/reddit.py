"""The Reddit poller: reads listings and posts what is new to our HTTP API.

The API keeps what is polled, where it continues and whether it works (`/config/reddit/subreddits`,
`/sources/reddit/cursor`). So the poller can be stopped at any time and started anywhere: it repeats a reading that was
not finished, and an item posted twice stays one item.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog

from soulcaster.errors import NotFound
from soulcaster.pollers.api_client import ApiClient, until_available
from soulcaster.pollers.reddit_client import RedditClient
from soulcaster.pollers.reddit_delivery import SOURCE, deliver
from soulcaster.pollers.reddit_projects import PolledProject, Trouble
from soulcaster.pollers.reddit_reading import Reading
from soulcaster.pollers.reddit_responses import Later, Refused, Unchanged
from soulcaster.pollers.schedule import Listing, Schedule
from soulcaster.telemetry.liveness import LOOPS
from soulcaster.telemetry.metrics import POLLS

LOOK_SECONDS = 3.0
"""How often the API is asked what to poll, and whether somebody wants it polled now."""

BLOCKED_SECONDS = 3_600.0
"""After how long a request that Reddit refused is repeated, without a kick or a restart."""

PASS_SECONDS = 600.0
"""A pass takes less: requests for each project, or one to Reddit and the posts of one page."""

log = structlog.get_logger(__name__)


class RedditPoller:
    """Polls for every project that the API lists; `look` and `step` each do one round of the work."""

    def __init__(
        self,
        api: ApiClient,
        reddit: RedditClient,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`clock` is monotonic, in seconds; `chance` returns 0 to 1, for the jitter of retries."""
        self._api = api
        self._reddit = reddit
        self._clock = clock
        self._now = now
        self._schedule = Schedule(reddit.pause, chance)
        self._projects: dict[str, PolledProject] = {}
        self._idle: set[str] = set()
        """Projects without subreddits; the log says so once."""
        self._readings: dict[Listing, Reading] = {}
        """Readings in progress."""
        self._ended: dict[Listing, Reading] = {}
        """The last finished reading of each listing."""
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BadInput: the API refuses a request; it may be another program, or another version of Soulcaster.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_looking())
                tasks.create_task(self._keep_polling())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _keep_looking(self) -> None:
        while True:
            LOOPS.begin_pass("reddit-projects", within=PASS_SECONDS)
            await self.look()
            self._looked.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _keep_polling(self) -> None:
        while True:
            LOOPS.begin_pass("reddit", within=PASS_SECONDS)
            self._looked.clear()
            wait = await self.step()
            if wait != 0:
                with suppress(TimeoutError):  # it has waited long enough
                    async with asyncio.timeout(wait):
                        await self._looked.wait()

    # ---- what is polled --------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Ask the API what to poll, and what to poll at once."""
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
        state = await until_available(lambda: self._api.source(project_id, SOURCE))
        project = self._projects.get(project_id)
        if project is None:
            project = self._projects[project_id] = PolledProject.from_state(project_id, state)
        now = self._clock()
        if listings != project.listings:
            log.info("polled", project=project_id, listings=sorted(map(str, listings)))
            self._leave(project.listings - listings)
            project.poll(listings)
        self._schedule.plan(project_id, listings, polling.interval_seconds, now)
        if state.kicked_at != project.kicked_at:
            project.kicked_at = state.kicked_at
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
        """Send one request to Reddit, if one is due, and deliver what is new.

        Returns:
            Seconds until the next request, None when nothing is polled.
        """
        started = self._clock()
        listing = self._schedule.next(started)
        if listing is not None:
            self._schedule.sent(listing, started)
            try:
                await self._poll(listing, self._projects[listing.project_id])
            except NotFound:  # the project is gone
                self._forget(listing.project_id)
        return self._schedule.wait(self._clock())

    async def _poll(self, listing: Listing, project: PolledProject) -> None:
        reading = self._readings.get(listing) or self._begin(listing, project)
        ended = self._ended.get(listing)
        result = await self._reddit.page(
            listing.subreddit,
            listing.sort,
            after=reading.after,
            validators=ended.validators if ended is not None and not reading.pages else None,
        )
        self._schedule.hold(self._clock(), result.hold)
        if self._readings.get(listing) is not reading:
            return  # the listing was taken off the plan meanwhile
        match result.outcome:
            case Later() as later:
                POLLS.labels(SOURCE, "unavailable").inc()
                self._retry(listing, project, later)
            case Refused() as refused:
                POLLS.labels(SOURCE, "refused").inc()
                self._block(listing, refused)
            case Unchanged():
                POLLS.labels(SOURCE, "unchanged").inc()
                self._end(listing, project, None)
            case page:
                POLLS.labels(SOURCE, "ok").inc()
                taken = await asyncio.to_thread(reading.take, page)
                left_out = await deliver(self._api, listing, reading, taken)
                if left_out:
                    project.error(f"{listing}: " + "; ".join(left_out), self._now())
                if self._readings.get(listing) is not reading:
                    return
                if taken.after is None:
                    self._end(listing, project, reading)
                else:
                    self._schedule.more(listing, self._clock())
        await self._report()

    def _begin(self, listing: Listing, project: PolledProject) -> Reading:
        ended = self._ended.get(listing)
        in_order = listing.sort == "new"
        now = self._now().timestamp()
        newest = project.newest.get(listing.subreddit) if in_order else None
        if newest is not None and newest.at > now:
            newest = None
        reading = self._readings[listing] = Reading(in_order, newest, ended.seen if ended else {}, now)
        return reading

    def _end(self, listing: Listing, project: PolledProject, reading: Reading | None) -> None:
        """Finish a reading whose posts are all accepted; None when the listing has not changed."""
        self._readings.pop(listing, None)
        self._schedule.read(listing, self._clock())
        if reading is not None:
            self._ended[listing] = reading
        mark = reading.mark() if reading is not None and listing.sort == "new" else None
        project.read(listing, mark, self._now())

    def _retry(self, listing: Listing, project: PolledProject, later: Later) -> None:
        wait = self._schedule.failed(listing, self._clock(), later.retry_after)
        if later.everyone:
            self._schedule.hold(self._clock(), wait)
        project.trouble(listing, Trouble("failing", later.reason), self._now())
        log.warning("not read", listing=str(listing), reason=later.reason, again_in=round(wait, 1))

    def _block(self, listing: Listing, refused: Refused) -> None:
        """Stop reading the subreddit, or everything, for every project."""
        now = self._clock()
        for project in self._projects.values():
            for one in project.listings:
                if refused.everyone or one.subreddit == listing.subreddit:
                    self._schedule.block(one, now, BLOCKED_SECONDS)
                    self._readings.pop(one, None)
                    project.trouble(one, Trouble("blocked", refused.reason), self._now())
        which = "Reddit" if refused.everyone else f"r/{listing.subreddit}"
        log.warning("refused", what=which, reason=refused.reason, again_in=BLOCKED_SECONDS)

    async def _report(self) -> None:
        """Send every report that is due."""
        for project_id, project in list(self._projects.items()):
            report = project.take_report(self._clock())
            if report is not None:
                try:
                    await until_available(lambda: self._api.report(project_id, SOURCE, report))  # noqa: B023
                except NotFound:
                    self._forget(project_id)
