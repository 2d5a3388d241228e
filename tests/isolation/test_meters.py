"""What a meter counts."""

import os
from pathlib import Path

from soulcaster.isolation.meters import DiskMeter


def test_a_disk_meter_counts_blocks_and_every_file_once(tmp_path: Path) -> None:
    meter = DiskMeter([tmp_path])
    empty = meter.measure(60)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(os.urandom(300_000))
    (tmp_path / "again").hardlink_to(tmp_path / "folder" / "file")
    (tmp_path / "round").symlink_to(tmp_path)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    assert 300_000 <= meter.measure(60) - empty <= 330_000


def test_a_disk_meter_walks_on_where_it_was(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / str(number)).write_bytes(b"x")
    whole = DiskMeter([tmp_path]).measure(60)
    meter = DiskMeter([tmp_path])
    seen = [meter.measure(0) for _ in range(3)]
    assert seen == sorted(seen)
    assert 0 < seen[0] < whole == seen[-1]
