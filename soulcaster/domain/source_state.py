"""The state of a project's source: the report of its poller, the last item received, the last poll request."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

SourceStatus = Literal["ok", "failing", "blocked"]
"""Working; failing and retried; refused by the vendor until a person acts."""

MAX_CURSOR_BYTES = 16 * 1024
"""Bytes that a cursor may have as JSON."""

MAX_ERROR = 1000
"""Characters that are kept of an error."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The state a poller reports: where it continues (only the poller reads `cursor`), and whether it works.

    Only the newest report is kept, so a poller that works again repeats its last error.
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

    The first sync takes the open issues; later ones take every change since the first began, at `connected_at`.
    `whole` is False until the first sync is complete. `etag` belongs to the response that the next sync revalidates.
    """

    connected_at: datetime
    since: datetime | None = None
    whole: bool = False
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """How far a GitHub repository was read for a project, and the result; the newest state counts.

    `synced_at` is when it was last read to the end. The last error stays after a later success.
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
    """Return the report of GitHub as a source, from the states of its repositories; None before the first sync.

    Repositories that are no longer `wanted` (names in any case) count only as received; their errors are shown to
    the caller who syncs them.
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
    """The state of a source; `last_received_at` is when the newest item arrived, `kicked_at` the last poll request."""

    source: str
    last_received_at: datetime | None = None
    kicked_at: datetime | None = None
    report: SourceReport | None = None
