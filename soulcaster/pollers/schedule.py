"""Which listing is read next, and when: pure, and of times in seconds of any clock that does not go back.

A step is one request. Nobody waits in the middle of one: a listing that has to wait is put off, and others go on.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

BACKOFF_SECONDS = 2.0
"""About how long the first wait after a failure is; each further one in a row is twice as long."""

MAX_BACKOFF_SECONDS = 900.0

MAX_ASKED_SECONDS = 86_400.0
"""A server that asks for more is not believed."""

SUBREDDIT_SECONDS = 1.0
"""At least so long between two requests for one subreddit, whoever's they are."""


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
    """It waits for longer than its interval, because it failed or was blocked."""


@dataclass(slots=True)
class Schedule:
    """The order of requests. `pause` is how long lies between any two; `chance` gives 0 to 1, for the jitter."""

    pause: float
    chance: Callable[[], float]
    _plans: dict[Listing, _Plan] = field(default_factory=dict)
    _sent: dict[str, float] = field(default_factory=dict)
    """When a subreddit was asked for last."""
    _free: float = 0.0
    """When any request may go out."""

    def plan(self, project_id: str, listings: Collection[Listing], interval: float, now: float) -> None:
        """Read these listings of the project, and no others of it, so often; what is new is due at once."""
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
        """Read all of the project now, also what waits because it failed or was blocked."""
        for listing, plan in self._plans.items():
            if listing.project_id == project_id:
                plan.due, plan.failures, plan.held = min(plan.due, now), 0, False

    def next(self, now: float) -> Listing | None:
        """Return the listing that is asked for now, the one that has waited longest, or None."""
        if now < self._free:
            return None
        ready = [(plan.due, listing) for listing, plan in self._plans.items() if self._when(listing, plan) <= now]
        return min(ready, key=lambda one: one[0])[1] if ready else None

    def wait(self, now: float) -> float | None:
        """Return how many seconds nothing is to be done; None where nothing is planned."""
        if not self._plans:
            return None
        first = min(self._when(listing, plan) for listing, plan in self._plans.items())
        return max(0.0, self._free - now, first - now)

    def _when(self, listing: Listing, plan: _Plan) -> float:
        sent = self._sent.get(listing.subreddit)
        return plan.due if sent is None else max(plan.due, sent + SUBREDDIT_SECONDS)

    def __contains__(self, listing: Listing) -> bool:
        return listing in self._plans

    # ---- what became of a request ----------------------------------------------------------------------------------

    def sent(self, listing: Listing, now: float) -> None:
        """A request went out."""
        self._sent = {name: at for name, at in self._sent.items() if now - at < SUBREDDIT_SECONDS}
        self._sent[listing.subreddit] = now
        self._free = now + self.pause

    def more(self, listing: Listing, now: float) -> None:
        """It was answered, and there is more to be read."""
        self._put_off(listing, now, failures=0, held=False)

    def read(self, listing: Listing, now: float) -> None:
        """It was read to its end."""
        plan = self._plans.get(listing)
        if plan is not None:
            plan.read_at = now
            self._put_off(listing, now + plan.interval, failures=0, held=False)

    def failed(self, listing: Listing, now: float, asked: float | None = None) -> float:
        """It was not answered: try again later, by an exponential backoff with jitter, or when it `asked` to.

        Returns:
            Seconds until then.
        """
        plan = self._plans.get(listing)
        failures = plan.failures if plan is not None else 0
        longest = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures, 30))
        wait = max(longest * (0.5 + self.chance() / 2), min(asked or 0.0, MAX_ASKED_SECONDS))
        self._put_off(listing, now + wait, failures=failures + 1, held=True)
        return wait

    def block(self, listing: Listing, now: float, seconds: float) -> None:
        """It was refused: leave it alone for so long."""
        self._put_off(listing, now + seconds, failures=0, held=True)

    def hold(self, now: float, seconds: float) -> None:
        """Let no request out for so long, whatever it is for."""
        self._free = max(self._free, now + min(seconds, MAX_ASKED_SECONDS))

    def _put_off(self, listing: Listing, due: float, *, failures: int, held: bool) -> None:
        plan = self._plans.get(listing)  # what is not planned any more needs nothing
        if plan is not None:
            plan.due, plan.failures, plan.held = due, failures, held
