"""Patches as our git makes them, in tests: between two folders, and put into a folder."""

import asyncio
from pathlib import Path

from soulcaster.domain.fixes.patch import Patch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.program import Git
from soulcaster.fixer.git.reading import read_tree


async def clone_of(folder: Path, git_dir: Path) -> Clone:
    """Return a clone, as if the files of a folder were a repository's only commit."""
    git = Git(git_dir)
    await asyncio.to_thread(git_dir.mkdir)
    await git("init", "--quiet", "--bare", "--template=", str(git_dir))
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.test")
    commit = await git(*author, "commit-tree", "-m", "base", await tree_of(folder, git_dir))
    return Clone(git_dir, "example/repository", commit.decode().strip(), "main")


async def tree_of(folder: Path, git_dir: Path) -> str:
    """Return the tree that the files of a folder are in git."""
    index = git_dir.with_suffix(".index")
    git = Git(git_dir, work=folder, index=index)
    await git("add", "--all")
    tree = await git("write-tree")
    await asyncio.to_thread(index.unlink)
    return tree.decode().strip()


async def patch_between(base: Path, changed: Path, git_dir: Path) -> Patch:
    """Return the patch that makes one folder the other."""
    clone = await clone_of(base, git_dir)
    return (await read_tree(clone, await tree_of(changed, git_dir))).patch


async def apply(patch: Patch, folder: Path) -> None:
    """Apply a patch to the files in a folder, which is in no repository."""
    git = Git(folder / ".git", work=folder)
    await git("init", "--quiet", "--template=", str(folder))
    await git("apply", "--whitespace=nowarn", "-", given=patch.text)
