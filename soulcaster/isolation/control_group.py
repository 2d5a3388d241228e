"""Control groups: limits of a program and everything that it starts, which the kernel keeps for root, too.

The kernel does not hold root to RLIMIT_NPROC (kernel/fork.c exempts INIT_USER), also where a user namespace gives root
another name inside. The controller `pids` of control groups holds everybody:
https://docs.kernel.org/admin-guide/cgroup-v1/pids.html and https://docs.kernel.org/admin-guide/cgroup-v2.html#pid.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MOUNTS = Path("/proc/self/mountinfo")
PREFIX = "soulcaster-"
CPU_PERIOD_US = 100_000

_ENTER = 'echo $$ > "$1" && shift && exec "$@"'
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Limit:
    """What a group limits: the controller, and what to write to which file, by the version of control groups."""

    controller: str
    files: Mapping[int, Mapping[str, str]]


def most_tasks(most: int) -> Limit:
    """Return a limit of so many tasks, which are processes and threads."""
    files = {"pids.max": str(most)}
    return Limit("pids", {1: files, 2: files})


def most_cpu(cores: float) -> Limit:
    """Return a limit of so much time of cores, such as 0.5."""
    quota = round(cores * CPU_PERIOD_US)
    first = {"cpu.cfs_period_us": str(CPU_PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    return Limit("cpu", {1: first, 2: {"cpu.max": f"{quota} {CPU_PERIOD_US}"}})


class ControlGroup:
    """One control group, for one program and everything that it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls, limit: Limit, mounts: Path = MOUNTS) -> "ControlGroup | None":
        """Return a group with this limit; None where this process is not root, or may not make any.

        It first removes groups of processes that were killed before they could remove theirs.
        """
        if os.geteuid() != 0:
            return None
        for parent, version in _parents(limit.controller, mounts):
            folder = parent / f"{PREFIX}{os.getpid()}-{next(_numbers)}"
            try:
                _tidy(parent)
                folder.mkdir()
                for name, value in limit.files[version].items():
                    (folder / name).write_text(value)
            except OSError:
                continue  # read-only, as in most containers, or it belongs to somebody else
            return cls(folder)
        return None

    def entering(self, command: Sequence[str]) -> list[str]:
        """Return the command line that puts itself into this group before it becomes `command`."""
        return ["/bin/sh", "-c", _ENTER, "sh", str(self._folder / "cgroup.procs"), *command]

    def remove(self) -> None:
        """Remove it; nothing of the program lives any more.

        Raises:
            OSError: something of it does live.
        """
        self._folder.rmdir()


def _parents(controller: str, mounts: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders in which groups with a controller may be made, and the version of control groups there."""
    for line in mounts.read_text().splitlines():
        first, _, second = line.partition(" - ")
        place = Path(first.split()[4])
        kind, _, options = second.split(" ", 2)
        if kind == "cgroup" and controller in options.split(","):
            yield place, 1
        elif kind == "cgroup2":
            passed_on = place / "cgroup.subtree_control"
            if passed_on.is_file() and controller in passed_on.read_text().split():
                yield place, 2


def _tidy(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):  # it still has tasks, or somebody else removed it
                folder.rmdir()
