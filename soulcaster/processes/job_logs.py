"""The logs of jobs as settings choose them: where they are archived, and how long Redis keeps them."""

from datetime import timedelta
from pathlib import Path

from soulcaster.adapters.log_folder import FolderArchive
from soulcaster.errors import BadInput
from soulcaster.ports.archive import LogArchive

_S3 = "s3://"


def log_archive(place: str) -> LogArchive | None:
    """Return the archive at a place, as `SOULCASTER_LOG_ARCHIVE` names it; None where none is named.

    Raises:
        BadInput: the place is neither a folder nor a bucket.
    """
    if place.startswith(_S3):
        bucket, _, prefix = place.removeprefix(_S3).partition("/")
        if bucket:
            from soulcaster.adapters.aws.s3 import S3Archive  # AWS's client takes half a second to import

            return S3Archive(bucket, prefix)
    if "://" in place:
        raise BadInput(f"SOULCASTER_LOG_ARCHIVE must be a folder or s3://bucket/prefix, not {place!r}.")
    return FolderArchive(Path(place)) if place else None


def job_logs_expire(seconds: int) -> timedelta | None:
    """Return how long Redis keeps a log after its last line, as `JOB_LOG_TTL_SECONDS` says it; None is for ever."""
    return timedelta(seconds=seconds) if seconds else None
