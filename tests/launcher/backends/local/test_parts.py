"""Orders, records, meters, and the cleaning of old folders, without a program."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soulcaster.launcher.backends.local.backend import SUPERVISOR
from soulcaster.launcher.backends.local.folder import DIED, JobFolder, Start
from soulcaster.launcher.backends.local.order import Limits, Order
from soulcaster.launcher.backends.local.supervisor import KEPT_DAYS, tidy
from tests.support.launch_local import (
    names,
)


def supervise(order: bytes) -> None:
    subprocess.run([sys.executable, "-m", SUPERVISOR], input=order, check=True, timeout=20)  # noqa: S603


def test_an_order_that_is_cut_off_starts_nothing(tmp_path: Path) -> None:
    order = Order(tmp_path / "job", (), ("true",), {"JOB_TOKEN": "secret"}, 60, Limits())
    assert Order.from_bytes(order.to_bytes()) == order
    assert "secret" not in repr(order)
    JobFolder(order.folder).create()
    supervise(order.to_bytes()[:-20])
    assert names(JobFolder(order.folder)) == set()


def test_a_supervisor_that_comes_after_a_stop_starts_nothing(tmp_path: Path) -> None:
    order = Order(tmp_path / "job", (), ("true",), {}, 60, Limits())
    JobFolder(order.folder).ask_to_stop()
    supervise(order.to_bytes())
    assert names(JobFolder(order.folder)) == {"lock", "stop"}


def make_old(folder: JobFolder) -> None:
    long_ago = time.time() - (KEPT_DAYS + 1) * 86_400
    os.utime(folder.path, (long_ago, long_ago))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Callable[[str], JobFolder]]:
    open_files = []

    def make(kind: str) -> JobFolder:
        folder = JobFolder(tmp_path / kind.replace(" ", "-"))
        folder.create()
        claim = folder.claim()
        assert claim is not None
        if "started" in kind:
            folder.prepare()
            folder.write_start(Start(1))
        if "ended" in kind:
            folder.write_end("it ended")
        if "stopped" in kind:
            folder.ask_to_stop()
        if "running" in kind:
            open_files.append(claim)
        else:
            claim.close()
        if "old" in kind:
            make_old(folder)
        return folder

    yield make
    for file in open_files:
        file.close()


def test_old_folders_are_removed_and_what_died_is_recorded(tmp_path: Path, jobs: Callable[[str], JobFolder]) -> None:
    old_running, died = jobs("old started running"), jobs("started")
    killed_late = jobs("started ended")  # its supervisor was killed after it had recorded the end
    kept = [old_running, died, killed_late, jobs("stopped"), jobs("running")]
    for gone in ("old started ended", "old stopped", "old started"):
        jobs(gone)
    (tmp_path / "a file").touch()
    tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*(folder.path.name for folder in kept), "a file"}
    assert died.end() == DIED
    assert not died.home.exists()
    assert not killed_late.home.exists()
    assert old_running.end() is None
    assert old_running.home.exists()
