"""How a source of a project stands: what whoever reads it reports, what has come of it, and who wants it read now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

SourceStatus = Literal["ok", "failing", "blocked"]
"""All is well; it fails and is tried again; the vendor refuses, and somebody has to do something."""

MAX_CURSOR_BYTES = 16 * 1024
"""A cursor as JSON may have so many bytes."""


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
class SourceState:
    """A source as it stands; `last_received_at` is when the newest item came in, `kicked_at` the last kick."""

    source: str
    last_received_at: datetime | None = None
    kicked_at: datetime | None = None
    report: SourceReport | None = None
