"""Which listing is read next, and when: pure, with times in seconds of any monotonic clock.

A step is one request. No request waits for another: a listing that has to wait is put off, and others continue.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

BACKOFF_SECONDS = 2.0
"""The longest first wait after a failure; each further failure in a row doubles it."""

MAX_BACKOFF_SECONDS = 900.0

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""The longest wait that a server can ask for."""

SUBREDDIT_SECONDS = 1.0
"""Seconds between two requests for one subreddit, for any project."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is read for one project: the posts of a subreddit in one order."""

    project_id: str
    subreddit: str
    sort: str

    def __str__(self) -> str:
        return f"r/{self.subreddit}/{self.sort}"


@dataclass(slots=True)
class _Plan:
    interval: float
    due: float
    read_at: float | None = None
    failures: int = 0
    held: bool = False
    """It waits longer than its interval, because it failed or is blocked."""


@dataclass(slots=True)
class Schedule:
    """The order of requests. `pause` is the seconds between any two; `chance` returns 0 to 1, for the jitter."""

    pause: float
    chance: Callable[[], float]
    _plans: dict[Listing, _Plan] = field(default_factory=dict)
    _sent: dict[str, float] = field(default_factory=dict)
    """When the last request for a subreddit was sent."""
    _asked: dict[str, float] = field(default_factory=dict)
    """When the last request for a project was sent."""
    _free: float = 0.0
    """When the next request of any kind can be sent."""

    def plan(self, project_id: str, listings: Collection[Listing], interval: float, now: float) -> None:
        """Read these listings of the project, and no others of it, every `interval` seconds; new ones are due now."""
        if not listings:
            self._asked.pop(project_id, None)
        for listing in [known for known in self._plans if known.project_id == project_id]:
            if listing not in listings:
                del self._plans[listing]
        for listing in listings:
            plan = self._plans.setdefault(listing, _Plan(interval, now))
            if plan.interval != interval:
                plan.interval = interval
                if plan.read_at is not None and not plan.held:
                    plan.due = plan.read_at + interval

    def kick(self, project_id: str, now: float) -> None:
        """Read everything of the project now, including what waits because it failed or is blocked."""
        for listing, plan in self._plans.items():
            if listing.project_id == project_id:
                plan.due, plan.failures, plan.held = min(plan.due, now), 0, False

    def next(self, now: float) -> Listing | None:
        """Return the listing to request now, None when none is due.

        Projects take turns, however many listings one has; of its listings comes the one that has waited longest.
        """
        if now < self._free:
            return None
        ready = [(plan.due, listing) for listing, plan in self._plans.items() if self._when(listing, plan) <= now]
        if not ready:
            return None
        return min(ready, key=lambda one: (self._asked.get(one[1].project_id, -math.inf), one[0]))[1]

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next request; None when nothing is planned."""
        if not self._plans:
            return None
        first = min(self._when(listing, plan) for listing, plan in self._plans.items())
        return max(0.0, self._free - now, first - now)

    def _when(self, listing: Listing, plan: _Plan) -> float:
        sent = self._sent.get(listing.subreddit)
        return plan.due if sent is None else max(plan.due, sent + SUBREDDIT_SECONDS)

    def __contains__(self, listing: Listing) -> bool:
        return listing in self._plans

    # ---- the result of a request -----------------------------------------------------------------------------------

    def sent(self, listing: Listing, now: float) -> None:
        """A request was sent."""
        self._sent = {name: at for name, at in self._sent.items() if now - at < SUBREDDIT_SECONDS}
        self._sent[listing.subreddit] = now
        self._asked[listing.project_id] = now
        self._free = now + self.pause

    def more(self, listing: Listing, now: float) -> None:
        """A page was read, and there is another one."""
        self._put_off(listing, now, failures=0, held=False)

    def read(self, listing: Listing, now: float) -> None:
        """The listing was read to its end."""
        plan = self._plans.get(listing)
        if plan is not None:
            plan.read_at = now
            self._put_off(listing, now + plan.interval, failures=0, held=False)

    def failed(self, listing: Listing, now: float, retry_after: float | None = None) -> float:
        """A request failed: retry with exponential backoff and jitter, or after `retry_after` seconds if longer.

        Returns:
            Seconds until the retry.
        """
        plan = self._plans.get(listing)
        failures = plan.failures if plan is not None else 0
        longest = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures, 30))
        wait = max(longest * (0.5 + self.chance() / 2), min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))
        self._put_off(listing, now + wait, failures=failures + 1, held=True)
        return wait

    def block(self, listing: Listing, now: float, seconds: float) -> None:
        """A request was refused: do not repeat it for `seconds`."""
        self._put_off(listing, now + seconds, failures=0, held=True)

    def hold(self, now: float, seconds: float) -> None:
        """Send no request of any kind for `seconds`."""
        self._free = max(self._free, now + min(seconds, MAX_RETRY_AFTER_SECONDS))

    def _put_off(self, listing: Listing, due: float, *, failures: int, held: bool) -> None:
        plan = self._plans.get(listing)
        if plan is not None:  # it may have been removed from the plan meanwhile
            plan.due, plan.failures, plan.held = due, failures, held
