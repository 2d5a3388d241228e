"""Pull requests and what belongs to them, on the host of a repository (GitHub)."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from soulcaster.domain.fixes.outcome import CheckState, PullRequestState


@dataclass(frozen=True, slots=True)
class Access:
    """A repository as a token sees it.

    `default_branch` is empty in an empty repository; `has_issues` is False where its issues are turned off.
    """

    name: str
    default_branch: str
    private: bool
    may_push: bool
    has_issues: bool = True


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request. `head` is owner:branch; `merged_at` is an ISO time, None unless merged.

    `head_repository` is the "owner/name" of the branch's repository, None where that is deleted. `updated_at` is the
    ISO time of the last change.
    """

    number: int
    url: str
    state: PullRequestState
    draft: bool
    head: str
    base: str
    head_commit: str
    merged_at: str | None = None
    head_repository: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A review that was submitted: who wrote it, what it asks for, and the words of it and of its comments."""

    author: str
    verdict: Literal["approved", "changes_requested", "commented", "dismissed", "pending"]
    words: str


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was published, with its tag."""

    tag: str
    published_at: datetime


class PullRequestHost(Protocol):
    """What a host does for pull requests that are open. A repository is "owner/name".

    Every method may raise SourceRefuses (the host refuses, and says why), SourceLimited (later) and SourceUnavailable
    (no answer: whether it was done is unknown, so look before doing it again).
    """

    async def get(self, repository: str, number: int) -> PullRequest:
        """Return a pull request."""

    async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
        """Comment on an issue or a pull request, unless a comment of ours has this marker (a hidden HTML comment)."""

    async def checks(self, repository: str, commit: str) -> CheckState:
        """Return what the checks of a commit say together."""

    async def may_write(self, repository: str, login: str) -> bool:
        """Return whether a person has permission to write; False for accounts that are bots."""

    async def review(self, repository: str, number: int, review_id: int) -> Review:
        """Return a review of a pull request, with its comments as one text that names files and lines."""

    async def latest_release(self, repository: str) -> Release | None:
        """Return the newest release that is neither a draft nor a pre-release, None where there is none."""


class CodeHost(PullRequestHost, Protocol):
    """The host as one credential reaches it, for what leads to a pull request, too."""

    async def access(self, repository: str) -> Access:
        """Return a repository, and whether this credential may push to it."""

    async def fork(self, repository: str) -> Access:
        """Return this credential's fork of a repository, creating it where there is none; wait until it is there."""

    async def branch_commit(self, repository: str, branch: str) -> str | None:
        """Return the newest commit of a branch, None where there is no such branch."""

    async def delete_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; does nothing where there is none."""

    async def find(self, repository: str, *, head: str) -> PullRequest | None:
        """Return the newest pull request from `head` (owner:branch), open before closed, None where there is none."""

    async def open(self, repository: str, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a draft pull request; where drafts are not allowed, an ordinary one marked in its title."""

    async def update(self, repository: str, number: int, *, body: str) -> PullRequest:
        """Replace the text of a pull request."""

    async def ensure_issue(self, repository: str, *, title: str, body: str, marker: str, shared: str) -> int:
        """Return the number of an issue of ours, opening one with both markers in its body where there is none.

        It is the one with `marker`, also when somebody has closed it since, or an open one with `shared`.
        """


class CodeHosts(Protocol):
    """Opens the host with the server's own credential."""

    def of(self, repository: str) -> AbstractAsyncContextManager[PullRequestHost]:
        """Give the host as the server's credential for a repository reaches it.

        Entering raises SourceRefuses (there is no credential for this repository, and why), SourceLimited and
        SourceUnavailable.
        """
