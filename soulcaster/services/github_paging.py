"""Reading a repository's issues page by page, without missing any that change meanwhile.

Pages are requested by time and not by number. An issue that is edited while we read moves to the end of the list, all
behind it move up by one, and by number the first issue of the next page would be missed. The link to the next page is
followed only where all issues of a page have one time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from soulcaster.domain.feedback.times import EARLIEST
from soulcaster.domain.source_state import Position
from soulcaster.ports.issues import Issues, IssuesPage

OVERLAP = timedelta(minutes=1)
"""Reading starts this long before the newest known issue, because GitHub's list may be a little behind GitHub."""

MAX_PAGES = 50
"""Pages of one sync; the next one goes on where it ended."""

Accept = Callable[[IssuesPage], Awaitable[None]]
"""Takes a page, and returns when its issues are stored."""

Keep = Callable[[Position], Awaitable[None]]
"""Stores a position, and returns when it is stored."""


async def read_changes(
    issues: Issues,
    repository: str,
    position: Position,
    *,
    now: datetime,
    token: str | None,
    accept: Accept,
    keep: Keep,
    goes_on: Callable[[], bool] = lambda: True,
) -> bool:
    """Read what has changed since a position; return whether that was all.

    It stops early after `MAX_PAGES`, or as soon as `goes_on`, which is called after each page, is False. The position
    is kept after each page that was accepted, so an interrupted sync goes on from there. It is never after `now`: a
    position in the future would leave out all changes until then.

    Raises:
        SourceRefuses, SourceLimited, SourceUnavailable: see `ports.Issues`.
    """
    if position.since is not None and position.since > now:
        position = replace(position, since=position.connected_at, etag=None)
    state: Literal["open", "all"] = "all" if position.whole else "open"
    since = None if position.since is None else position.since - OVERLAP
    beginning = at = issues.first(repository, state=state, since=since)
    etag = position.etag
    for _ in range(MAX_PAGES):
        page = await issues.page(at, token=token, etag=etag)
        if page is None:
            return True
        await accept(page)
        before, etag = position, None
        changed_at = (issue_time(issue, "updated_at") for issue in page.issues)
        newest = max((min(at, now) for at in changed_at if at is not None), default=None)
        moved = newest is not None and (position.since is None or newest > position.since)
        if moved:
            position = replace(position, since=newest, etag=None)
        if page.next is None:
            position = _after_last_page(position, page.etag if at == beginning and not moved else None)
        if position != before:
            await keep(position)
        if page.next is None:
            return True
        if not goes_on():
            return False
        at = issues.first(repository, state=state, since=position.since) if moved else page.next
    return False


def _after_last_page(position: Position, etag: str | None) -> Position:
    """Return the position after the last page; `etag` is that of the response which the next sync requests again."""
    if position.whole:
        return replace(position, etag=etag)
    return replace(position, whole=True, since=position.connected_at, etag=None)


def issue_time(issue: Any, field: str) -> datetime | None:
    """Return a time of an issue, None where it does not have one with a time zone, or one that cannot be true."""
    text = issue.get(field) if isinstance(issue, dict) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None and at > EARLIEST else None
