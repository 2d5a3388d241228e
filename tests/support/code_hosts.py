"""Code hosts for tests: none, and one in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from soulcaster.domain.fixes.outcome import CheckState
from soulcaster.errors import SourceRefuses
from soulcaster.ports.code_host import PullRequest, PullRequestHost, Release, Review
from tests.support.make import NOW

REPOSITORY = "acme/shop"
BRANCH = "soulcaster/fix-c1-1"
URL = f"https://github.com/{REPOSITORY}/pull/12"


class NoHost:
    """Hosts for none of which there is a credential."""

    @asynccontextmanager
    async def of(self, repository: str) -> AsyncIterator[PullRequestHost]:
        raise SourceRefuses(f"there is no credential for {repository}")
        yield


def pull_request(minutes: int = 0, **more: Any) -> PullRequest:
    """Return pull request 12, as of so many minutes after NOW."""
    fields = {
        "number": 12,
        "url": URL,
        "state": "open",
        "draft": True,
        "head": f"acme:{BRANCH}",
        "base": "main",
        "head_commit": "c" * 40,
        "head_repository": REPOSITORY,
        "updated_at": (NOW + timedelta(minutes=minutes)).isoformat(),
    }
    return PullRequest(**{**fields, **more})


@dataclass
class Host:
    """A host with one repository, in memory; `writers` may write to it. It keeps the comments it got, by marker."""

    pull: PullRequest = field(default_factory=pull_request)
    checked: CheckState = "none"
    writers: tuple[str, ...] = ("ada",)
    reviews: dict[int, Review] = field(default_factory=dict)
    release: Release | None = None
    comments: dict[tuple[str, int, str], str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    error: Exception | None = None

    @asynccontextmanager
    async def of(self, repository: str) -> AsyncIterator[PullRequestHost]:
        if self.error is not None:
            raise self.error
        yield self

    async def get(self, repository: str, number: int) -> PullRequest:
        self.calls.append("get")
        if (repository.lower(), number) != (REPOSITORY, self.pull.number):
            raise SourceRefuses("there is no such pull request")
        return self.pull

    async def checks(self, repository: str, commit: str) -> CheckState:
        self.calls.append("checks")
        return self.checked

    async def may_write(self, repository: str, login: str) -> bool:
        self.calls.append("may_write")
        return login in self.writers

    async def review(self, repository: str, number: int, review_id: int) -> Review:
        return self.reviews[review_id]

    async def latest_release(self, repository: str) -> Release | None:
        return self.release

    async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
        self.comments.setdefault((repository, number, marker), body)
