"""A control group that limits how many tasks (processes and threads) a program has, where the user of both is root.

The kernel does not hold root to RLIMIT_NPROC (kernel/fork.c exempts INIT_USER), also where a user namespace gives root
another name inside. The controller `pids` of control groups holds everybody:
https://docs.kernel.org/admin-guide/cgroup-v1/pids.html and https://docs.kernel.org/admin-guide/cgroup-v2.html#pid.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

MOUNTS = Path("/proc/self/mountinfo")
PREFIX = "soulcaster-"

_ENTER = 'echo $$ > "$1" && shift && exec "$@"'
_numbers = itertools.count()


class TaskGroup:
    """One control group, for one program and everything that it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls, most: int, mounts: Path = MOUNTS) -> "TaskGroup | None":
        """Return a group of at most `most` tasks; None where this process is not root, or may not make any.

        It first removes groups of processes that were killed before they could remove theirs.
        """
        if os.geteuid() != 0:
            return None
        for parent in _parents(mounts):
            folder = parent / f"{PREFIX}{os.getpid()}-{next(_numbers)}"
            try:
                _tidy(parent)
                folder.mkdir()
                (folder / "pids.max").write_text(str(most))
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


def _parents(mounts: Path) -> Iterator[Path]:
    """Yield the folders in which groups with the controller `pids` may be made."""
    for line in mounts.read_text().splitlines():
        first, _, second = line.partition(" - ")
        place = Path(first.split()[4])
        kind, _, options = second.split(" ", 2)
        if kind == "cgroup" and "pids" in options.split(","):
            yield place
        elif kind == "cgroup2":
            passed_on = place / "cgroup.subtree_control"
            if passed_on.is_file() and "pids" in passed_on.read_text().split():
                yield place


def _tidy(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):  # it still has tasks, or somebody else removed it
                folder.rmdir()
