"""Lists that the read model has whole, such as members: a page of them, and the cursor behind each entry.

A cursor holds what the list is sorted by, so it stays valid when entries come or go.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from soulcaster.ports.paging import Page
from soulcaster.web.parameters import ProjectQuery, Query

T = TypeVar("T")

Place = tuple[str, str]
"""What a list is sorted by, and the id of the entry."""

EntryCursor = Annotated[
    str, StringConstraints(pattern="^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3})?$", min_length=2, max_length=4000)
]


class EntriesQuery(Query):
    """Query of such a list: which page of it."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    cursor: EntryCursor | None = None


class ProjectEntriesQuery(EntriesQuery, ProjectQuery):
    """Query of such a list of a project."""


def entries_page(
    entries: Sequence[T], place: Callable[[T], Place], query: EntriesQuery, *, newest_first: bool = False
) -> Page[T]:
    """Return a page of entries; they are in the order of their places, from the highest down with `newest_first`."""
    places = [_bytes(place(entry)) for entry in entries]
    first = 0
    if query.cursor is not None:
        passed = base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        first = sum(one >= passed if newest_first else one <= passed for one in places)
    shown = entries[first : first + query.limit]
    cursors = tuple(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in places[first : first + query.limit])
    more = first + len(shown) < len(entries)
    return Page(tuple(shown), len(entries), cursors[-1] if more else None, cursors=cursors)


def time_place(at: datetime, entry_id: str) -> Place:
    """Return the place of an entry in a list that is sorted by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds"), entry_id


def _bytes(place: Place) -> bytes:
    """Return a place as it is compared: as UTF-8, whose order is that of the characters."""
    return "\0".join(place).encode("utf-8", "surrogatepass")
