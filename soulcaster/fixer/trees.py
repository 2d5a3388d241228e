"""Copies of trees, and their removal. What is in a tree is hostile once a command has run in it."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from soulcaster.errors import TreeUnusable
from soulcaster.fixer.commands import run_command
from soulcaster.ports.sandbox import Tree

COPY_SECONDS = 600.0
"""How long one copy, or one removal, may take."""

_TAIL_BYTES = 300


class Trees:
    """Makes trees in a folder of ours that nobody else writes to, and removes them.

    Nothing may run in a tree while it is copied or removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def empty(self) -> Tree:
        """Return a new tree whose folders are empty."""
        place = Path(tempfile.mkdtemp(prefix="tree-", dir=self._folder))
        tree = Tree(place / "work", place / "home")
        tree.work.mkdir()
        tree.home.mkdir()
        return tree

    @asynccontextmanager
    async def copy(self, tree: Tree) -> AsyncIterator[Tree]:
        """Copy a tree, and remove the copy at the end.

        Times and modes stay, as builds need them, and hard links; where the file system can, both share their blocks.
        Links are copied as links and never followed. Sockets, pipes and devices are removed from the original first,
        and its owner gets the right to read all of it: a program may have taken it away.

        Raises:
            TreeUnusable: it cannot be copied, or not within `COPY_SECONDS`; folders may be nested too deep for it.
        """
        new = self.empty()
        try:
            for old, copy in ((tree.work, new.work), (tree.home, new.home)):
                await _open_up(old)
                special = [word for kind in "bcps" for word in ("-o", "-type", kind)][1:]
                await _run("find", "-P", str(old), "(", *special, ")", "-delete")
                await _run("cp", "-a", "--reflink=auto", "-T", "--", str(old), str(copy))
            yield new
        finally:
            await self.remove(new)

    async def remove(self, tree: Tree) -> None:
        """Remove a tree with everything in it, also where a program took away the rights to its folders.

        Raises:
            TreeUnusable: something of it is left.
        """
        place = tree.work.parent
        if place.exists():
            await remove_folder(place)


async def remove_folder(folder: Path) -> None:
    """Remove a folder with everything in it, at any depth; links are not followed.

    Raises:
        TreeUnusable: something of it is left.
    """
    await _open_up(folder)
    await _run("rm", "-rf", "--one-file-system", "--", str(folder))


async def _open_up(folder: Path) -> None:
    """Give the owner all rights to the folders and files in a folder; links are left alone."""
    await _run("chmod", "-R", "u+rwX", "--", str(folder))


async def _run(*command: str) -> None:
    """Run one of the system's programs; unlike Python's functions they remove folders at any depth."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
    try:
        done = await run_command(command, seconds=COPY_SECONDS, environment=environment)
    except TimeoutError as error:
        raise TreeUnusable(f"A tree of files could not be copied or removed: {command[0]} took too long.") from error
    if done.code != 0:
        words = done.said[-_TAIL_BYTES:].decode(errors="replace").strip()
        raise TreeUnusable(f"A tree of files could not be copied or removed: {words}")
