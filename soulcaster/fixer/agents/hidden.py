"""What configures coding agents is taken out of a tree before one runs there, and put back when it has ended.

So the repository's own instructions, tools and hooks are not loaded, and that is no change in the patch. The tree may
be hostile, before and after: no link in it is followed, folders may be nested deeply and closed to their owner.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

from soulcaster.domain.fixes.protected_paths import configures_agents

_LEFT_OUT = frozenset({".git", "node_modules"})
"""Folders that are not searched: no agent reads instructions there."""

_DEPTH = 64
"""How deep folders are searched; nobody works below that."""


class Hidden:
    """The configuration of coding agents in a tree, away until `restore`. `paths` are what is hidden."""

    def __init__(self, work: Path, leaves: Sequence[str] = ()) -> None:
        """Hide it. `leaves` are names that an agent may leave in the tree, which are removed at the end."""
        self._work = work
        self._leaves = leaves
        self.paths = tuple(_found(work))
        self.stash = Path(mkdtemp(prefix="hidden-", dir=work.parent))
        for number, path in enumerate(self.paths):
            (work / path).rename(self.stash / str(number))

    def restore(self) -> None:
        """Put it back. What was in its place is then in `stash`, a folder to be removed."""
        for number, name in enumerate(self._leaves):
            _put_back(self._work, name, None, self.stash / f"left-{number}")
        for number, path in enumerate(self.paths):
            _put_back(self._work, path, self.stash / str(number), self.stash / f"new-{number}")


def _found(work: Path) -> Iterator[str]:
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        below: list[str] = []
        for entry in _entries(work / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if configures_agents(path):
                yield path
            elif entry.is_dir(follow_symlinks=False) and entry.name not in _LEFT_OUT and path.count("/") < _DEPTH:
                below.append(path)
        waiting += reversed(below)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if folder.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(stat.S_IRWXU)  # a program took the right away; git keeps no modes of folders
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _put_back(work: Path, path: str, kept: Path | None, away: Path) -> None:
    """Put one path back, or nothing, and what is there now `away`. If a folder above is none any more, it stays away.

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
                os.chmod(folder, stat.S_IRWXU, dir_fd=at)
            below = os.open(folder, flags, dir_fd=at)
            os.close(at)
            at = below
        _move_away(name, at, away)
        if kept is not None:
            os.rename(kept, name, dst_dir_fd=at)
    finally:
        os.close(at)


def _move_away(name: str, at: int, away: Path) -> None:
    try:
        mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        os.chmod(name, stat.S_IRWXU, dir_fd=at)  # a folder is moved by whoever may write to it
    os.rename(name, away, src_dir_fd=at)
