"""Where logs of jobs are archived, as a setting says it."""

from datetime import timedelta
from pathlib import Path

import pytest

from soulcaster.adapters.archive_folder import FolderArchive
from soulcaster.adapters.aws.s3 import S3Archive
from soulcaster.errors import BadInput
from soulcaster.processes.job_logs import job_logs_expire, log_archive


def test_an_archive_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert log_archive("") is None
    assert isinstance(log_archive(str(tmp_path)), FolderArchive)
    assert isinstance(log_archive("s3://bucket"), S3Archive)
    assert isinstance(log_archive("s3://bucket/of/logs/"), S3Archive)


@pytest.mark.parametrize("place", ["s3://", "s3:///prefix", "https://bucket", "file:///folder"])
def test_anything_else_is_refused(place: str) -> None:
    with pytest.raises(BadInput, match="SOULCASTER_LOG_ARCHIVE"):
        log_archive(place)


def test_zero_seconds_are_for_ever() -> None:
    assert job_logs_expire(0) is None
    assert job_logs_expire(60) == timedelta(minutes=1)
