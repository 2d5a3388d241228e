"""Cloning one commit of a repository.

The git directory stays outside of everything that strangers' code can reach; the tree that they work on has a copy of
it, which nobody trusts afterwards.
"""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from soulcaster.errors import GitFailed, SourceRefuses
from soulcaster.fixer.git.program import NETWORK_SECONDS, Git, Remote
from soulcaster.fixer.git.refusals import explained

RECENT_COMMITS = 100
"""How many commits of a branch are fetched first where the server gives out branches only."""


@dataclass(frozen=True, slots=True)
class Clone:
    """A bare repository of ours with one commit of another one."""

    git_dir: Path
    repository: str
    base: str
    branch: str

    @property
    def git(self) -> Git:
        """Return git on it."""
        return Git(self.git_dir)


async def clone(remote: Remote, repository: str, *, branch: str, commit: str, git_dir: Path) -> Clone:
    """Fetch a commit of a branch without its history into a new git directory, in which the credential does not stay.

    Raises:
        SourceRefuses: the server refuses the credential, or has no such repository or commit.
        SourceUnavailable: the server does not answer.
    """
    await asyncio.to_thread(git_dir.mkdir, parents=True)
    git = Git(git_dir)
    await git("init", "--quiet", "--bare", "--template=", str(git_dir))
    try:
        await _fetch(git, remote, branch, commit)
    except GitFailed as error:
        raise explained(error, repository, "clone") from error
    try:
        await git("cat-file", "-e", f"{commit}^{{commit}}")
    except GitFailed as error:
        raise SourceRefuses(
            f"The commit {commit[:12]} is not in {repository} on {branch} any more. Start the fix again."
        ) from error
    await git("update-ref", f"refs/heads/{branch}", commit)
    await git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    return Clone(git_dir, repository, commit, branch)


async def _fetch(git: Git, remote: Remote, branch: str, commit: str) -> None:
    async def fetch(*words: str) -> None:
        await git(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *words,
            settings=remote.settings(),
            seconds=NETWORK_SECONDS,
        )

    try:
        await fetch("--depth=1", remote.url, commit)
    except GitFailed as error:
        if "unadvertised object" not in error.said and "not our ref" not in error.said:
            raise
    else:
        return
    await fetch(f"--depth={RECENT_COMMITS}", remote.url, f"refs/heads/{branch}")
    try:
        await git("cat-file", "-e", f"{commit}^{{commit}}")
    except GitFailed:
        if (git.git_dir / "shallow").exists():
            await fetch("--unshallow", remote.url, f"refs/heads/{branch}")


async def check_out(source: Clone, work: Path) -> None:
    """Write the files of a clone into a new folder, with a git directory of its own, for tools that want one.

    Raises:
        GitFailed: git could not, for example because the disk is full.
    """
    await asyncio.to_thread(shutil.copytree, source.git_dir, work / ".git")
    git = Git(work / ".git", work=work)
    await git("config", "core.bare", "false")
    await git("read-tree", "--reset", "-u", "HEAD")
