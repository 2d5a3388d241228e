"""Pull requests and what belongs to them, on the host of a repository (GitHub)."""

from dataclasses import dataclass
from typing import Literal, Protocol

from soulcaster.domain.fixes.outcome import PullRequestState


@dataclass(frozen=True, slots=True)
class Access:
    """A repository as a token sees it. `default_branch` is empty in an empty repository."""

    name: str
    default_branch: str
    private: bool
    may_push: bool


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request. `head` is owner:branch; `merged_at` is an ISO time, None unless merged."""

    number: int
    url: str
    state: PullRequestState
    draft: bool
    head: str
    base: str
    head_commit: str
    merged_at: str | None = None


CheckState = Literal["none", "pending", "passed", "failed"]


class CodeHost(Protocol):
    """The host as one credential reaches it. A repository is "owner/name".

    Every method may raise SourceRefuses (the host refuses, and says why), SourceLimited (later) and SourceUnavailable
    (no answer: whether it was done is unknown, so look before doing it again).
    """

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

    async def get(self, repository: str, number: int) -> PullRequest:
        """Return a pull request."""

    async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
        """Comment on an issue or a pull request, unless a comment of ours has this marker (a hidden HTML comment)."""

    async def ensure_issue(self, repository: str, *, title: str, body: str, marker: str) -> int:
        """Return the number of the open issue of ours with this marker in its body, opening it where there is none."""

    async def checks(self, repository: str, commit: str) -> CheckState:
        """Return what the checks of a commit say together."""

    async def may_write(self, repository: str, login: str) -> bool:
        """Return whether a person has permission to write; False for accounts that are bots."""
