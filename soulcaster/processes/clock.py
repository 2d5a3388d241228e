"""The system's time, as every process hands it to what needs a clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
