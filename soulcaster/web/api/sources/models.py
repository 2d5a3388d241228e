"""The bodies and responses of sources."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from soulcaster.domain.source_state import SourceStatus
from soulcaster.services.sources import SourceView
from soulcaster.web.bodies import Body
from soulcaster.wire.fields import PollCursor, SourceError, Time


class PollOut(BaseModel):
    """202: the poller notices the request within seconds. 200 with `skipped`: there is nothing to poll."""

    status: Literal["ok", "skipped"]
    message: str
    project_id: str


class SourceReportIn(Body):
    """PUT /sources/{source}/cursor: a poller's cursor and status; each report replaces the previous one as a whole."""

    cursor: PollCursor
    status: SourceStatus = "ok"
    polled_at: Time | None = None
    last_error: SourceError | None = None
    last_error_at: Time | None = None


class SourceOut(BaseModel):
    """The state of a source.

    `last_received_at` is when its newest item arrived, `kicked_at` when somebody last asked to poll it at once. It is
    `connected` once an item has arrived or a poller has reported; `to_do` says what to do and is empty when all is
    well. The fields from `status` on are the report of its poller, null without one.
    """

    source: str
    enabled: bool
    connected: bool
    to_do: str
    last_received_at: datetime | None
    kicked_at: datetime | None
    status: SourceStatus | None
    reported_at: datetime | None
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    cursor: Mapping[str, Any] | None
    project_id: str

    @classmethod
    def of(cls, project_id: str, standing: SourceView) -> "SourceOut":
        """Return the state of a source."""
        state, report = standing.state, standing.state.report
        return cls(
            source=state.source,
            enabled=standing.enabled,
            connected=standing.connected,
            to_do=standing.to_do,
            last_received_at=state.last_received_at,
            kicked_at=state.kicked_at,
            status=report and report.status,
            reported_at=report and report.reported_at,
            polled_at=report and report.polled_at,
            last_error=report and report.last_error,
            last_error_at=report and report.last_error_at,
            cursor=report and report.cursor,
            project_id=project_id,
        )
