"""What configures coding agents is taken out of a tree before one runs there, and put back when it has ended.

So the repository's own instructions, tools and hooks are not loaded, and that is no change in the patch. The tree may
be hostile, before and after: no link in it is followed.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

from soulcaster.domain.fixes.protected_paths import configures_agents

_LEFT_OUT = frozenset({".git", "node_modules"})
"""Folders that are not searched: no agent reads instructions there."""


class Hidden:
    """The configuration of coding agents in a tree, away until `restore`. `paths` are what is hidden."""

    def __init__(self, work: Path, leaves: Sequence[str] = ()) -> None:
        """Hide it. `leaves` are names that an agent may leave in the tree, which are removed at the end."""
        self._work = work
        self._leaves = leaves
        self.paths = tuple(_found(work))
        self._stash = Path(mkdtemp(prefix="hidden-", dir=work.parent))
        for number, path in enumerate(self.paths):
            (work / path).rename(self._stash / str(number))

    def restore(self) -> None:
        """Put it back."""
        for name in self._leaves:
            _put_back(self._work, name, None)
        for number, path in enumerate(self.paths):
            _put_back(self._work, path, self._stash / str(number))
        shutil.rmtree(self._stash)


def _found(work: Path, folder: str = "") -> Iterator[str]:
    with os.scandir(work / folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if configures_agents(path):
                yield path
            elif entry.is_dir(follow_symlinks=False) and entry.name not in _LEFT_OUT:
                yield from _found(work, path)


def _put_back(work: Path, path: str, kept: Path | None) -> None:
    """Put one path back, or nothing, in place of what is there now. If a folder above is none any more, it stays away.

    Then the patch shows it as deleted, which no fix may do.
    """
    *folders, name = path.split("/")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    at = os.open(work, flags)
    try:
        for folder in folders:
            try:
                os.mkdir(folder, dir_fd=at)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(folder, dir_fd=at, follow_symlinks=False).st_mode):
                    return
            below = os.open(folder, flags, dir_fd=at)
            os.close(at)
            at = below
        _remove(name, at)
        if kept is not None:
            os.rename(kept, name, dst_dir_fd=at)
    finally:
        os.close(at)


def _remove(name: str, at: int) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return
    if is_folder:
        shutil.rmtree(name, dir_fd=at)
    else:
        os.unlink(name, dir_fd=at)
