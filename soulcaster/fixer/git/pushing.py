"""A commit of ours, and its way to a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.fixes.order import Author
from soulcaster.domain.fixes.pull_request import JOB_TRAILER
from soulcaster.errors import GitFailed
from soulcaster.fixer.git.clone import RECENT_COMMITS, Clone
from soulcaster.fixer.git.program import NETWORK_SECONDS, Remote
from soulcaster.fixer.git.refusals import explained

_REFUSES_SHALLOW = "shallow update not allowed"


async def commit(source: Clone, tree: str, *, message: str, author: Author, at: datetime) -> str:
    """Return a new commit of a tree on the base."""
    seconds = f"{int(at.timestamp())} +0000"
    who: Mapping[str, str] = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_AUTHOR_DATE": seconds,
        "GIT_COMMITTER_NAME": author.name,
        "GIT_COMMITTER_EMAIL": author.email,
        "GIT_COMMITTER_DATE": seconds,
    }
    made = await source.git("commit-tree", tree, "-p", source.base, "-F", "-", given=message.encode(), variables=who)
    return made.decode().strip()


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit on a branch at the server; `job` is the value of its trailer, "" without one."""

    commit: str
    tree: str
    job: str


async def commits_since_base(source: Clone, remote: Remote, branch: str) -> tuple[BranchCommit, ...] | None:
    """Return the commits that a branch at the server has after the base, newest first; None if it is not based on it.

    Raises:
        SourceRefuses: the server refuses.
        SourceUnavailable: the server does not answer.
    """
    found: list[BranchCommit] = []
    for one in await _recent_commits(source, remote, branch, "--first-parent"):
        if one.commit == source.base:
            return tuple(found)
        found.append(one)
    return None


async def newest_commit_of(job: str, source: Clone, remote: Remote, branch: str) -> str | None:
    """Return the newest commit of a job on a branch at the server, below commits and merges of others, too.

    Raises:
        SourceRefuses: the server refuses.
        SourceUnavailable: the server does not answer.
    """
    return next((one.commit for one in await _recent_commits(source, remote, branch) if one.job == job), None)


async def _recent_commits(source: Clone, remote: Remote, branch: str, *options: str) -> list[BranchCommit]:
    """Fetch the newest commits of a branch, and return them, newest first."""
    git = source.git
    try:
        await git(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            f"--depth={RECENT_COMMITS}",
            "--update-shallow",
            remote.url,
            f"+refs/heads/{branch}:refs/soulcaster/at-the-server",
            settings=remote.settings(),
            seconds=NETWORK_SECONDS,
        )
    except GitFailed as error:
        raise explained(error, source.repository, "clone") from error
    form = f"--format=%H %T %(trailers:key={JOB_TRAILER},valueonly,separator=%x2C)"
    listed = (await git("log", *options, form, "refs/soulcaster/at-the-server")).decode(errors="replace")
    return [BranchCommit(*line.split(" ", 2)) for line in listed.splitlines()]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a commit goes: a branch of a repository at a server, which is at `replaces`, or is not there yet (None)."""

    remote: Remote
    repository: str
    branch: str
    replaces: str | None


async def push(source: Clone, made: str, to: Destination, *, origin: Remote) -> None:
    """Make a commit the newest of a branch.

    A fork that lacks the base takes it only with its whole history, which is then fetched from `origin`.

    Raises:
        BranchMoved: the branch is somewhere else by now.
        SourceRefuses: the server refuses, with the reason that it gives.
        SourceUnavailable: it does not answer; whether it took the commit is unknown.
    """
    try:
        try:
            await _push(source, made, to)
        except GitFailed as error:
            if _REFUSES_SHALLOW not in error.said or not (source.git_dir / "shallow").exists():
                raise
            await source.git(
                *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--unshallow"),
                *(origin.url, source.base),
                settings=origin.settings(),
                seconds=NETWORK_SECONDS,
            )
            await _push(source, made, to)
    except GitFailed as error:
        raise explained(error, to.repository, "push") from error


async def _push(source: Clone, made: str, to: Destination) -> None:
    await source.git(
        *("push", "--porcelain", "--no-verify", f"--force-with-lease=refs/heads/{to.branch}:{to.replaces or ''}"),
        *(to.remote.url, f"{made}:refs/heads/{to.branch}"),
        settings=to.remote.settings(),
        seconds=NETWORK_SECONDS,
    )
