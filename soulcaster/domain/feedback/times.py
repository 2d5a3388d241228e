"""Times that senders give. One that cannot be true gives way to the time of intake, and is kept as it was told."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

AHEAD = timedelta(days=1)
"""How far a sender's clock may be ahead of ours."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Programs that know no time say this one, or one before it; nobody gave feedback to software then."""


@dataclass(frozen=True, slots=True)
class TimesTold:
    """The times of an item that cannot be true, as its sender gave them; None for one that was not replaced."""

    created_at: datetime | None = None
    updated_at: datetime | None = None


def is_credible(told: datetime, received_at: datetime) -> bool:
    """Return whether a time can be that of what came in at `received_at`."""
    return told > EARLIEST and told - received_at <= AHEAD  # the sum of the two may be after the year 9999
