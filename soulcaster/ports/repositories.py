"""Repositories on GitHub, as far as fixes need them before they start."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BaseCommit:
    """A branch, and its newest commit (SHA-1 or SHA-256 in hex)."""

    branch: str
    commit: str


class Repositories(Protocol):
    """Reads repositories."""

    async def base(self, repository: str, *, branch: str | None, token: str | None) -> BaseCommit:
        """Return a branch of "owner/name" with its newest commit; None is the default branch.

        Raises:
            SourceRefuses: GitHub knows no such repository or branch, the token may not read it, or it is archived.
            SourceLimited: GitHub accepts no more requests for now.
            SourceUnavailable: GitHub does not answer, or not as it should.
        """
