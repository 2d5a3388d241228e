"""How a source of a project stands: what whoever reads it reports, what has come of it, and who wants it read now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

SourceStatus = Literal["ok", "failing", "blocked"]
"""All is well; it fails and is tried again; the vendor refuses, and somebody has to do something."""

MAX_CURSOR_BYTES = 16 * 1024
"""A cursor as JSON may have so many bytes."""

MAX_ERROR = 1000
"""Characters of an error that is told."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a poller says of itself: where it goes on (`cursor` is its own affair), and how it fares.

    The newest report counts, and is all there is of it: one that goes well again says the last error once more.
    """

    cursor: Mapping[str, Any]
    status: SourceStatus
    reported_at: datetime
    polled_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """How far a repository at GitHub was read for a project, and how that went; the newest counts.

    `synced_at` is when it was last read to its end. The last error stays when all goes well again.
    """

    repository: str
    position: Position
    status: SourceStatus
    reported_at: datetime
    synced_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None


_WORST: tuple[SourceStatus, ...] = ("ok", "failing", "blocked")


def github_report(states: Collection[RepositoryState], wanted: Collection[str]) -> SourceReport | None:
    """Return how GitHub stands, made of how its repositories do; None where none was read yet.

    Of those that are not `wanted` any more (names in any case) only what they brought is told: whoever asks for one
    by hand is answered what went wrong.
    """
    if not states:
        return None
    names = {name.lower() for name in wanted}
    counted = sorted((one for one in states if one.repository.lower() in names), key=lambda one: one.repository.lower())
    troubled = [one for one in counted if one.status != "ok"]
    failed = [one for one in counted if one.last_error is not None and one.last_error_at is not None]
    last = max(failed, key=lambda one: one.last_error_at or one.reported_at, default=None)
    told = sorted(troubled, key=lambda one: one.status != "blocked") or ([last] if last is not None else [])
    said = "; ".join(f"{one.repository}: {one.last_error}" for one in told)
    return SourceReport(
        cursor={one.repository: one.position.since and one.position.since.isoformat() for one in states},
        status=max((one.status for one in counted), key=_WORST.index, default="ok"),
        reported_at=max(one.reported_at for one in states),
        polled_at=max((one.synced_at for one in states if one.synced_at is not None), default=None),
        last_error=said[:MAX_ERROR] or None,
        last_error_at=max((one.last_error_at for one in told if one.last_error_at is not None), default=None),
    )


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source as it stands; `last_received_at` is when the newest item came in, `kicked_at` the last kick."""

    source: str
    last_received_at: datetime | None = None
    kicked_at: datetime | None = None
    report: SourceReport | None = None
