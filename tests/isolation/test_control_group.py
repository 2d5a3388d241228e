"""How many tasks a program may have, whoever runs it."""

import asyncio
import os
from pathlib import Path

import pytest

from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.fixer.trees import Trees
from soulcaster.isolation.control_group import ControlGroup, most_cpu, most_tasks
from soulcaster.ports.sandbox import SandboxLimits
from tests.support.launch_local import needs_isolation

FORKS = """
import os, sys, time
time.sleep(1)  # the watch has looked once
started = 0
for _ in range(int(sys.argv[1])):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except BlockingIOError:
        break
    started += 1
print(started)
"""


def limits_hold() -> bool:
    """Return whether the kernel limits processes here: always, unless we are root and may not make control groups."""
    if os.geteuid() != 0:
        return True
    group = ControlGroup.make(most_tasks(1))
    if group is not None:
        group.remove()
    return group is not None


def groups() -> list[Path]:
    """Return the groups of this process."""
    return list(Path("/sys/fs/cgroup").glob(f"**/soulcaster-{os.getpid()}-*"))


@needs_isolation
@pytest.mark.skipif(not limits_hold(), reason="this is root, and it may not make control groups")
async def test_the_kernel_refuses_what_the_watch_is_too_slow_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.fixer.sandbox.running.LOOK_SECONDS", 600)  # a watch that is too slow
    tree = Trees(tmp_path).empty()
    limits = SandboxLimits(seconds=60, processes=8)
    ended = await BubblewrapSandbox().run(["python3", "-c", FORKS, "200"], tree, limits)
    assert ended.code == 0, ended
    assert 20 < int(ended.tail) <= 64


@needs_isolation
@pytest.mark.skipif(os.geteuid() != 0 or not limits_hold(), reason="control groups are for root")
async def test_no_group_is_left(tmp_path: Path) -> None:
    tree = Trees(tmp_path).empty()
    sandbox = BubblewrapSandbox()
    await sandbox.run(["true"], tree, SandboxLimits(seconds=60))
    running = asyncio.create_task(sandbox.run(["sleep", "60"], tree, SandboxLimits(seconds=60)))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not groups()


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are for root")
@pytest.mark.parametrize(
    ("kind", "passed_on", "works"),
    [
        ("cgroup {0} rw,pids", None, True),
        ("cgroup {0} rw,cpu,cpuacct", None, False),
        ("cgroup2 {0} rw", "cpu memory pids\n", True),
        ("cgroup2 {0} rw", "cpu memory\n", False),
        ("cgroup2 {0} rw", None, False),
        ("tmpfs {0} rw", None, False),
    ],
)
def test_both_versions_of_control_groups(tmp_path: Path, kind: str, passed_on: str | None, works: bool) -> None:
    place, mounts = tmp_path / "groups", tmp_path / "mountinfo"
    place.mkdir()
    (place / "soulcaster-999999999-0").mkdir()  # of a process that was killed
    if passed_on is not None:
        (place / "cgroup.subtree_control").write_text(passed_on)
    mounts.write_text(f"36 31 0:33 / {place} rw,relatime shared:4 - {kind.format('none')}\n")
    group = ControlGroup.make(most_tasks(30), mounts)
    assert (group is not None) is works
    if group is not None:
        [folder] = place.glob("soulcaster-*")
        assert (folder / "pids.max").read_text() == "30"
        assert group.entering(["true"])[-2:] == [str(folder / "cgroup.procs"), "true"]


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are for root")
@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("cgroup none rw,cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "40000"}),
        ("cgroup2 none rw", {"cpu.max": "40000 100000"}),
    ],
)
def test_a_share_of_the_cores_in_both_versions(tmp_path: Path, kind: str, written: dict[str, str]) -> None:
    place, mounts = tmp_path / "groups", tmp_path / "mountinfo"
    place.mkdir()
    (place / "cgroup.subtree_control").write_text("cpu")
    mounts.write_text(f"36 31 0:33 / {place} rw,relatime shared:4 - {kind}\n")
    assert ControlGroup.make(most_cpu(0.4), mounts) is not None
    [folder] = place.glob("soulcaster-*")
    assert {path.name: path.read_text() for path in folder.iterdir()} == written
