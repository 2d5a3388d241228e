"""The archive at a place that somebody names."""

from pathlib import Path

from soulcaster.adapters.archive_folder import FolderArchive
from soulcaster.errors import BadInput
from soulcaster.ports.archive import Archive

_S3 = "s3://"


def archive_at(place: str, named_by: str) -> Archive:
    """Return the archive at a place; `named_by` says where the place comes from, for the error.

    Raises:
        BadInput: the place is neither a folder nor a bucket.
    """
    if place.startswith(_S3):
        bucket, _, prefix = place.removeprefix(_S3).partition("/")
        if bucket:
            from soulcaster.adapters.aws.s3 import S3Archive  # AWS's client takes half a second to import

            return S3Archive(bucket, prefix)
    if not place or "://" in place:
        raise BadInput(f"{named_by} must be a folder or s3://bucket/prefix, not {place!r}.")
    return FolderArchive(Path(place))
