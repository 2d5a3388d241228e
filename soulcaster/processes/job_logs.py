"""The logs of jobs as settings choose them: where they are archived, and how long Redis keeps them."""

from datetime import timedelta

from soulcaster.ports.archive import Archive
from soulcaster.processes.archives import archive_at


def log_archive(place: str) -> Archive | None:
    """Return the archive at a place, as `SOULCASTER_LOG_ARCHIVE` names it; None where none is named.

    Raises:
        BadInput: the place is neither a folder nor a bucket.
    """
    return archive_at(place, "SOULCASTER_LOG_ARCHIVE") if place else None


def job_logs_expire(seconds: int) -> timedelta | None:
    """Return how long Redis keeps a log after its last line, as `JOB_LOG_TTL_SECONDS` says it; None is for ever."""
    return timedelta(seconds=seconds) if seconds else None
