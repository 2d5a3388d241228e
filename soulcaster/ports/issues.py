"""The issues of GitHub repositories."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class IssuesPage:
    """A page of issues and pull requests as GitHub gave them; `next` is where the next one is, None at the end."""

    issues: tuple[Any, ...]
    next: str | None
    etag: str | None


class Issues(Protocol):
    """Reads the issues of GitHub's repositories."""

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        """Return where the issues of "owner/name" changed at or after `since` begin, those longest unchanged first."""

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None where it is still the one of this `etag`.

        Raises:
            SourceRefuses: there is no such repository, or the token may not read it.
            SourceLimited: too many requests; it says until when.
            SourceUnavailable: GitHub does not answer, or not as documented.
        """
