"""The issues of GitHub repositories."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class IssuesPage:
    """A page of issues and pull requests as GitHub returned them; `next` is the address of the next one, or None.

    `too_large` is how many are left out, because each of them is larger than any response that is read.
    """

    issues: tuple[Any, ...]
    next: str | None
    etag: str | None
    too_large: int = 0


class Issues(Protocol):
    """Reads the issues of GitHub's repositories."""

    def first(self, repository: str, *, state: Literal["open", "all"], since: datetime | None) -> str:
        """Return the address of the first page of the issues of "owner/name", the longest unchanged first.

        Only issues that changed at or after `since`, where it is given.
        """

    async def page(self, at: str, *, token: str | None, etag: str | None = None) -> IssuesPage | None:
        """Return the page at an address, or None when it has not changed since it had this `etag`.

        Where it has too many bytes, it is a smaller one, and `next` goes on behind that.

        Raises:
            SourceRefuses: the repository does not exist, or the token may not read it.
            SourceLimited: GitHub accepts no more requests until a time that the error holds.
            SourceUnavailable: GitHub does not answer, or not as documented.
        """
