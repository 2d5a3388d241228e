"""What the Reddit poller keeps of a project: where it continues, what fails, and what it reports to the API."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from soulcaster.domain.source_state import MAX_ERROR
from soulcaster.pollers.api_client import SourceReport, SourceState
from soulcaster.pollers.reddit_reading import Mark
from soulcaster.pollers.schedule import Listing

REPORT_SECONDS = 60.0
"""Seconds between two reports that only repeat that nothing has changed."""

log = structlog.get_logger(__name__)


class _Cursor(BaseModel):
    """What the API keeps: the newest accepted post of each subreddit's `new`, as its id and its time.

    Other listings have no order in time, so they have no cursor: after a start they are read again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    newest: dict[str, tuple[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a listing cannot be read now."""

    status: Literal["failing", "blocked"]
    reason: str


@dataclass(slots=True)
class PolledProject:
    """A project that is polled."""

    kicked_at: datetime | None
    newest: dict[str, Mark]
    """The newest accepted post of each subreddit's `new`."""

    last_error: str | None
    last_error_at: datetime | None
    polled_at: datetime | None
    listings: frozenset[Listing] = frozenset()
    _troubles: dict[Listing, Trouble] = field(default_factory=dict)
    _changed: bool = False
    _reported_at: float | None = None

    @classmethod
    def from_state(cls, project_id: str, state: SourceState) -> Self:
        """Return a project that continues where the last report ended."""
        newest = _newest(project_id, state.cursor)
        return cls(state.kicked_at, newest, state.last_error, state.last_error_at, state.polled_at)

    def poll(self, listings: frozenset[Listing]) -> None:
        """Poll these listings and no others."""
        subreddits = {listing.subreddit for listing in listings}
        self.newest = {name: mark for name, mark in self.newest.items() if name in subreddits}
        self._troubles = {one: trouble for one, trouble in self._troubles.items() if one in listings}
        self.listings, self._changed = listings, True

    def read(self, listing: Listing, mark: Mark | None, at: datetime) -> None:
        """A listing was read to its end; `mark` is its newest accepted post, None when the cursor stays."""
        self.polled_at = at
        if self._troubles.pop(listing, None) is not None:
            self._changed = True
        if mark is not None and mark != self.newest.get(listing.subreddit):
            self.newest[listing.subreddit] = mark
            self._changed = True

    def trouble(self, listing: Listing, trouble: Trouble, at: datetime) -> None:
        """A listing cannot be read."""
        if self._troubles.get(listing) != trouble:
            self._troubles[listing] = trouble
            self.error(_sentence(self._troubles), at)

    def error(self, error: str, at: datetime) -> None:
        """Report an error; one that leaves every listing readable does not change the status."""
        self.last_error, self.last_error_at, self._changed = error[:MAX_ERROR], at, True

    def take_report(self, now: float) -> SourceReport | None:
        """Return the report to send, None when none is due; `now` is monotonic, in seconds."""
        due = self._changed or self._reported_at is None or now - self._reported_at >= REPORT_SECONDS
        if not due:
            return None
        self._changed, self._reported_at = False, now
        statuses = {trouble.status for trouble in self._troubles.values()}
        return SourceReport(
            cursor=_Cursor(newest={name: (mark.id, mark.at) for name, mark in self.newest.items()}).model_dump(),
            status="blocked" if "blocked" in statuses else "failing" if statuses else "ok",
            polled_at=self.polled_at,
            last_error=self.last_error,
            last_error_at=self.last_error_at,
        )


def _sentence(troubles: Mapping[Listing, Trouble]) -> str:
    """Return what cannot be read and why, blocked listings first."""
    named: dict[Trouble, list[str]] = defaultdict(list)
    for listing, trouble in sorted(troubles.items(), key=lambda one: (one[1].status != "blocked", str(one[0]))):
        named[trouble].append(str(listing))
    return "; ".join(f"{', '.join(names)}: {trouble.reason}" for trouble, names in named.items())


def _newest(project_id: str, cursor: Mapping[str, Any] | None) -> dict[str, Mark]:
    try:
        newest = _Cursor.model_validate(cursor or {}).newest
    except ValidationError:
        log.warning("the API's cursor is not one of this poller's, so everything is read again", project=project_id)
        return {}
    return {name: Mark(*mark) for name, mark in newest.items()}
