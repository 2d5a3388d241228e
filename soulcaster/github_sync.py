"""Reading a repository's issues, page by page, so that none is missed, whatever happens to them meanwhile.

Pages are asked for by time and not by number: an issue that is edited while we read moves to the end of the list, all
behind it move up by one, and by number the first of the next page would be missed. Only where a whole page has one
time the link to the next is followed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from soulcaster.ports import Issues

OVERLAP = timedelta(minutes=1)
"""Read again from so long before the newest issue known: GitHub's list may be a little behind GitHub."""

MOST_PAGES = 50
"""Pages of one sync; the next goes on where it ended."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a repository was read: every change up to `since` is known.

    The first sync takes the issues that are open, the others every change since the first began, which was at
    `connected_at`; `whole` is False until the first has come to the end. `etag` is that of the answer which the next
    sync asks for.
    """

    connected_at: datetime
    since: datetime | None = None
    whole: bool = False
    etag: str | None = None


Accept = Callable[[Sequence[Any]], Awaitable[None]]
"""Takes a page of issues, and returns when they are kept."""

Keep = Callable[[Position], Awaitable[None]]
"""Keeps a position, and returns when it is kept."""


async def read_changes(
    issues: Issues, repository: str, position: Position, *, token: str | None, accept: Accept, keep: Keep
) -> bool:
    """Read what has changed since a position; return whether that was all, False when there is more than `MOST_PAGES`.

    How far it is, is kept after each page that was accepted: whoever is cut off goes on from there.

    Raises:
        SourceRefuses, SourceLimited, SourceUnavailable: see `ports.Issues`.
    """
    state: Literal["open", "all"] = "all" if position.whole else "open"
    overlapped = None if position.since is None else position.since - OVERLAP
    beginning = at = issues.first(repository, state=state, since=overlapped)
    etag = position.etag
    for _ in range(MOST_PAGES):
        page = await issues.page(at, token=token, etag=etag)
        if page is None:
            return True
        await accept(page.issues)
        before, etag = position, None
        newest = max(filter(None, map(updated_at, page.issues)), default=None)
        moved = newest is not None and (position.since is None or newest > position.since)
        if moved:
            position = replace(position, since=newest, etag=None)
        if page.next is None:
            position = _at_the_end(position, page.etag if at == beginning and not moved else None)
        if position != before:
            await keep(position)
        if page.next is None:
            return True
        at = issues.first(repository, state=state, since=position.since) if moved else page.next
    return False


def _at_the_end(position: Position, etag: str | None) -> Position:
    """Return the position after the last page; `etag` is that of an answer that the next sync will ask for again."""
    if position.whole:
        return replace(position, etag=etag)
    return replace(position, whole=True, since=position.connected_at, etag=None)


def updated_at(issue: Any) -> datetime | None:
    """Return when an issue was changed last, None where it does not say so."""
    text = issue.get("updated_at") if isinstance(issue, dict) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
