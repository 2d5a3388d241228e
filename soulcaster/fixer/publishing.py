"""Publishing what a job made: a branch, a draft pull request, and never a second one.

A launch may end at any point, and the next one begins anew. So each step looks first for what an earlier one left, and
nothing is done twice where GitHub did it and its answer was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from soulcaster.domain.fixes.order import JobOrder
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.pull_request import (
    Story,
    commit_message,
    earlier_comment,
    follow_up_comment,
    issue_body,
    issue_title,
    job_marker,
    made_earlier,
    moved_on,
    no_issue,
    own_issue,
    pull_request_body,
    pull_request_title,
)
from soulcaster.errors import BranchMoved, NoPatch, SourceLimited, SourceRefuses, SourceUnavailable
from soulcaster.fixer.commands import uninterrupted
from soulcaster.fixer.git.clone import Clone, clone
from soulcaster.fixer.git.program import Remote
from soulcaster.fixer.git.pushing import Destination, commit, commits_since_base, newest_commit_of, push
from soulcaster.fixer.git.reading import apply_patch
from soulcaster.ports.code_host import CodeHost, PullRequest

PREFIX = "soulcaster/"
"""How each branch begins that we push to."""

ATTEMPTS = 3
"""How often a step is done that GitHub gave no answer to, after looking whether it did it."""

CLEAN_UP_SECONDS = 10.0
"""How long deleting a branch may take that no pull request came of."""

T = TypeVar("T")

Point = Callable[[str], None]
"""Called at each point of the way, by its name."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a job made and may be published: `patch` was verified and checked; `summary` is the coding agent's."""

    patch: Patch
    outcome: FixOutcome
    summary: str
    spent_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Published:
    """What is at GitHub now: a branch with our commit, and its pull request, None where none was wanted.

    `flags` are remarks for the reviewer about how it was published.
    """

    repository: str
    branch: str
    commit: str
    pull_request: PullRequest | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """A branch at GitHub, with our commit."""

    repository: str
    branch: str
    commit: str


OnBranch = Callable[[Pushed | None], Awaitable[None]]
"""Called before a branch is pushed; with None when it is not there, or not any more."""


class Publishing:
    """Publishes what one job made.

    Whatever ends it before there is a pull request, the branch is deleted. Where that fails, or the program is killed,
    `on_branch` has named it.
    """

    def __init__(
        self,
        host: CodeHost,
        order: JobOrder,
        token: str | None,
        folder: Path,
        *,
        now: datetime,
        on_branch: OnBranch,
        at_point: Point = lambda name: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; `token` is for git, `folder` a new one for clones, `now` the time of the commit."""
        self._host = host
        self._order = order
        self._token = token
        self._folder = folder
        self._now = now
        self._at = at_point
        self._on_branch = on_branch
        self._sleep = sleep

    async def publish(self, made: Made) -> Published:
        """Publish up to the stop point of the order.

        Raises:
            SourceRefuses: GitHub refuses; the reason says what a person can do.
            SourceUnavailable: it does not answer.
            NoPatch: the patch does not apply to what the branch has now.
        """
        if self._order.follow_up is not None:
            return await self._follow_up(made, self._order.follow_up.pr_number)
        way = await self._prepare()  # 1. where it goes
        story = await self._story(made, way)  # 2. the issue
        known = await self._existing(way)  # 3. what an earlier launch left
        ours = await self._clone(way.repository, way.base_branch, way.base_commit, "publish.git")  # 4. a fresh clone
        if known is not None and (earlier := await self._built_upon(way, ours)) is not None:
            return Published(way.target, way.branch, earlier, known, (*story.flags, made_earlier(earlier)))
        tree = await apply_patch(ours, made.patch.text)
        pushed, replaces = await self._commit(way, ours, tree)
        try:
            await self._on_branch(Pushed(way.target, way.branch, pushed))
            await self._push(way, ours, pushed, replaces)  # 5. the branch
            story = replace(story, outcome=replace(story.outcome, commit=pushed, repository=way.target))
            opened: PullRequest | None = None
            if self._order.stop_at == "pr":
                opened = await self._pull_request(way, story, known)  # 6. the pull request
        except BaseException:
            await uninterrupted(self._clean_up(way, {pushed, replaces}))
            raise
        return Published(way.target, way.branch, pushed, opened, story.flags)

    # ---- 1. where it goes

    async def _prepare(self) -> "_Way":
        target, branch = self._order.target, self._order.branch
        if target is None or not branch.startswith(PREFIX) or branch == PREFIX:
            raise SourceRefuses(f"The branch of a fix begins with {PREFIX}; {branch!r} does not.")
        access = await self._host.access(target.repository)
        self._at("looked at the repository")
        if not access.default_branch:
            raise SourceRefuses(f"{access.name} is empty: there is no commit to start from.")
        where = access
        if self._order.rules.fork or not access.may_push:
            where = await self._host.fork(access.name)
            self._at("forked")
        return _Way(access.name, target.base_branch, target.base_commit, where.name, branch, access.has_issues)

    # ---- 2. the issue

    async def _story(self, made: Made, way: "_Way") -> Story:
        story = Story(self._order, made.outcome, made.summary, made.spent_usd)
        known = [number for report in self._order.reports if (number := own_issue(report, self._order)) is not None]
        if known:
            return replace(story, issue=known[0])
        if not self._order.rules.issue:
            return story
        if not way.has_issues:
            return replace(story, flags=(*story.flags, no_issue(way.repository)))
        shared = f"<!-- soulcaster cluster {self._order.cluster_id} -->"
        marker = job_marker(self._order)
        title, body = issue_title(self._order), issue_body(self._order)

        async def ensure() -> int:
            return await self._host.ensure_issue(way.repository, title=title, body=body, marker=marker, shared=shared)

        try:
            number = await self._several_times(ensure)
        except SourceRefuses as error:
            raise SourceRefuses(f"The project wants an issue for each fix (fix.issue). {error}") from error
        self._at("opened the issue")
        return replace(story, issue=number, closes=True)

    # ---- 3. what an earlier launch left

    async def _existing(self, way: "_Way") -> PullRequest | None:
        known = await self._host.find(way.repository, head=way.head)
        if known is not None and known.state != "open":
            raise SourceRefuses(
                f"The pull request #{known.number} of {way.branch} is {known.state} already ({known.url}); "
                "nothing was pushed. Start another fix of the cluster."
            )
        return known

    async def _built_upon(self, way: "_Way", ours: Clone) -> str | None:
        """Return the commit of an earlier launch on which others have built: it stays, and is what this job made."""
        remote = self._remote(way.target)
        found = await commits_since_base(ours, remote, way.branch)
        if found and all(one.job == self._order.job_id for one in found):
            return None
        return await newest_commit_of(self._order.job_id, ours, remote, way.branch)

    # ---- 4. a fresh clone

    async def _clone(self, repository: str, branch: str, base: str, name: str) -> Clone:
        remote = self._remote(repository)
        ours = await clone(remote, repository, branch=branch, commit=base, git_dir=self._folder / name)
        self._at("cloned")
        return ours

    def _remote(self, repository: str) -> Remote:
        return Remote(f"{self._order.git_url.rstrip('/')}/{repository}.git", self._token)

    # ---- 5. the branch

    async def _commit(self, way: "_Way", ours: Clone, tree: str) -> tuple[str, str | None]:
        """Return a commit of the tree, and the one that it replaces on the branch: itself where the branch has it.

        A branch of somebody else stays as it is.
        """
        there = await self._host.branch_commit(way.target, way.branch)
        if there is not None:
            found = await commits_since_base(ours, self._remote(way.target), way.branch)
            if not found or any(one.job != self._order.job_id for one in found):
                raise SourceRefuses(
                    f"{way.target} has a branch {way.branch} that is not of this job, or somebody else committed to "
                    "it; it was left as it is. Start another fix, or delete the branch."
                )
            there = found[0].commit
            if len(found) == 1 and found[0].tree == tree:
                return there, there
        message = commit_message(self._order)
        made = await commit(ours, tree, message=message, author=self._order.author, at=self._now)
        self._at("committed")
        return made, there

    async def _push(self, way: "_Way", ours: Clone, made: str, replaces: str | None) -> None:
        if made == replaces:
            return
        to = Destination(self._remote(way.target), way.target, way.branch, replaces)
        await self._push_commit(ours, made, to, way)
        self._at("pushed")

    async def _push_commit(self, ours: Clone, made: str, to: Destination, way: "_Way") -> None:
        """Push, and look whether it was done where there is no answer, or a repeated request says that it was."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await push(ours, made, to, origin=self._remote(way.repository))
            except (BranchMoved, SourceUnavailable) as error:
                if await self._host.branch_commit(to.repository, to.branch) == made:
                    return
                if isinstance(error, BranchMoved) or attempt == ATTEMPTS:
                    raise
                await self._sleep(float(attempt))
            else:
                return

    # ---- 6. the pull request

    async def _pull_request(self, way: "_Way", story: Story, known: PullRequest | None) -> PullRequest:
        body = pull_request_body(story)
        if known is not None:
            updated = await self._host.update(way.repository, known.number, body=body)
            self._at("updated the pull request")
            return updated

        async def open_one() -> PullRequest:
            try:
                title = pull_request_title(self._order)
                return await self._host.open(
                    way.repository, head=way.head, base=way.base_branch, title=title, body=body
                )
            except (SourceRefuses, SourceUnavailable):
                if (there := await self._host.find(way.repository, head=way.head)) is not None:
                    return there
                raise

        opened = await self._several_times(open_one)
        self._at("opened the pull request")
        return opened

    async def _clean_up(self, way: "_Way", ours: Container[str | None]) -> None:
        """Delete the branch if its newest commit is one of ours, and it has no pull request."""
        try:
            async with asyncio.timeout(CLEAN_UP_SECONDS):
                there = await self._host.branch_commit(way.target, way.branch)
                is_ours = there is not None and there in ours
                if is_ours and await self._host.find(way.repository, head=way.head) is None:
                    await self._host.delete_branch(way.target, way.branch)
                    self._at(f"deleted the branch {way.branch} from {way.target}")
                    there = None
        except (SourceRefuses, SourceUnavailable, TimeoutError) as error:
            self._at(f"the branch {way.branch} may be left in {way.target}: {error or 'GitHub is slow'}")
            return
        if there is None:
            await self._on_branch(None)

    # ---- a follow-up

    async def _follow_up(self, made: Made, number: int) -> Published:
        target = self._order.target
        if target is None:
            raise SourceRefuses("A follow-up needs the repository of its pull request.")
        access = await self._host.access(target.repository)
        opened = await self._host.get(access.name, number)
        self._at("looked at the pull request")
        where, branch = opened.head_repository, opened.head.partition(":")[2]
        if opened.state != "open" or where is None:
            raise SourceRefuses(f"The pull request #{number} of {access.name} is not open any more.")
        if not branch.startswith(PREFIX):
            raise SourceRefuses(f"The branch {branch} of the pull request #{number} is not one of ours.")
        way = _Way(access.name, branch, opened.head_commit, where, branch)
        ours = await self._clone(where, branch, way.base_commit, "follow-up.git")
        pushed: str | None = None
        flags: tuple[str, ...] = ()
        if way.base_commit != target.base_commit:
            pushed = await newest_commit_of(self._order.job_id, ours, self._remote(where), branch)
            flags = (moved_on(target.base_commit, way.base_commit),) if pushed is None else (made_earlier(pushed),)
        if pushed is None:
            pushed = await self._push_follow_up(way, ours, made)
            await self._on_branch(Pushed(where, branch, pushed))
            outcome = replace(made.outcome, commit=pushed, repository=where)
            body = follow_up_comment(Story(self._order, outcome, made.summary, made.spent_usd, flags=flags))
        else:
            body = earlier_comment(self._order, pushed)
        marker = f"<!-- soulcaster follow-up {self._order.job_id} -->"

        async def comment() -> None:
            await self._host.comment(access.name, number, body, marker=marker)

        await self._several_times(comment)
        self._at("commented")
        return Published(where, branch, pushed, opened, flags)

    async def _push_follow_up(self, way: "_Way", ours: Clone, made: Made) -> str:
        try:
            tree = await apply_patch(ours, made.patch.text)
        except NoPatch as error:
            raise NoPatch("The pull request changed meanwhile, and the change does not fit it. Ask again.") from error
        message = commit_message(self._order)
        commit_made = await commit(ours, tree, message=message, author=self._order.author, at=self._now)
        self._at("committed")
        to = Destination(self._remote(way.target), way.target, way.branch, way.base_commit)
        await self._push_commit(ours, commit_made, to, way)
        self._at("pushed")
        return commit_made

    async def _several_times(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call gives that looks first for what it makes; it is repeated while GitHub does not answer."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await call()
            except SourceLimited:
                raise
            except SourceUnavailable:
                await self._sleep(float(attempt))
        return await call()


@dataclass(frozen=True, slots=True)
class _Way:
    """From the base in a repository to a branch of `target`, which is the repository or a fork of it."""

    repository: str
    base_branch: str
    base_commit: str
    target: str
    branch: str
    has_issues: bool = True

    @property
    def head(self) -> str:
        """The branch as pull requests name it."""
        return f"{self.target.partition('/')[0]}:{self.branch}"
