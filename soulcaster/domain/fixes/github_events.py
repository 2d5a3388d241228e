"""What GitHub's webhooks say of pull requests that jobs have opened: payloads in, small events out.

An event that cannot be about such a pull request gives None: its branch is none of ours, or a comment does not address
us. Whether it is about one, the read model says.

Source: docs.github.com/en/webhooks/webhook-events-and-payloads.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from soulcaster.domain.fixes.fix import BRANCH_PREFIX
from soulcaster.domain.fixes.pull_request_sight import PullRequestSight
from soulcaster.domain.sources._json import at, moment, text, web_address, whole

T = TypeVar("T")

_ADDRESSED = re.compile(r"(?<![\w@/.-])@soulcaster(?![\w/-])", re.IGNORECASE)
_QUOTED = re.compile(r" {0,3}>")
"""The begin of a line that quotes, in Markdown."""


@dataclass(frozen=True, slots=True)
class PullRequestSeen:
    """A pull request as the code host shows it; `head_repository` is None where that is deleted."""

    repository: str
    number: int
    url: str
    branch: str
    head_repository: str | None
    sight: PullRequestSight

    @property
    def name(self) -> str:
        """Return its name, as "owner/name#12"."""
        return f"{self.repository}#{self.number}"


@dataclass(frozen=True, slots=True)
class ChecksCompleted:
    """Checks of the newest commit of a branch have ended; there may be others."""

    repository: str
    branch: str


@dataclass(frozen=True, slots=True)
class ReviewSubmitted:
    """A review was submitted, or a comment of one; its words are read from the code host."""

    repository: str
    number: int
    branch: str
    review_id: int
    author: str


@dataclass(frozen=True, slots=True)
class Addressed:
    """Somebody addressed us in a comment on a pull request, in words of their own: whoever quotes asks for nothing."""

    repository: str
    number: int
    comment_id: int
    author: str
    words: str


@dataclass(frozen=True, slots=True)
class ReleasePublished:
    """A release of a repository was published."""

    repository: str
    published_at: datetime


GitHubEvent = PullRequestSeen | ChecksCompleted | ReviewSubmitted | Addressed | ReleasePublished


def parse(event: str, payload: Any) -> GitHubEvent | None:
    """Return what the delivery of an event says of pull requests of ours, None where it says nothing.

    Raises:
        ValueError: it may be about one, and lacks what such an event has.
    """
    read = _READERS.get(event)
    return None if read is None else read(payload)


def _pull_request(payload: Any) -> PullRequestSeen | None:
    found = at(payload, "pull_request")
    branch = text(at(found, "head", "ref")) or ""
    if not branch.startswith(BRANCH_PREFIX):
        return None
    merged_at = moment(at(found, "merged_at"))
    closed = text(at(found, "state")) == "closed"
    return PullRequestSeen(
        _needed(text(at(payload, "repository", "full_name")), "repository.full_name"),
        _needed(whole(at(found, "number")), "pull_request.number"),
        _needed(web_address(at(found, "html_url")), "pull_request.html_url"),
        branch,
        text(at(found, "head", "repo", "full_name")),
        PullRequestSight(
            "merged" if merged_at is not None else "closed" if closed else "open",
            _needed(moment(at(found, "updated_at")), "pull_request.updated_at"),
            merged_at=merged_at,
        ),
    )


def _checks(of: str) -> Callable[[Any], ChecksCompleted | None]:
    def read(payload: Any) -> ChecksCompleted | None:
        found = at(payload, of)
        branch = text(at(found, "head_branch") or at(found, "check_suite", "head_branch")) or ""
        if text(at(payload, "action")) != "completed" or not branch.startswith(BRANCH_PREFIX):
            return None
        return ChecksCompleted(_needed(text(at(payload, "repository", "full_name")), "repository.full_name"), branch)

    return read


def _review(payload: Any) -> ReviewSubmitted | None:
    return _of_review(payload, "review", "submitted", ("review", "id"))


def _review_comment(payload: Any) -> ReviewSubmitted | None:
    return _of_review(payload, "comment", "created", ("comment", "pull_request_review_id"))


def _of_review(payload: Any, of: str, action: str, review_id: tuple[str, str]) -> ReviewSubmitted | None:
    branch = text(at(payload, "pull_request", "head", "ref")) or ""
    if text(at(payload, "action")) != action or not branch.startswith(BRANCH_PREFIX):
        return None
    return ReviewSubmitted(
        _needed(text(at(payload, "repository", "full_name")), "repository.full_name"),
        _needed(whole(at(payload, "pull_request", "number")), "pull_request.number"),
        branch,
        _needed(whole(at(payload, *review_id)), ".".join(review_id)),
        _needed(text(at(payload, of, "user", "login")), f"{of}.user.login"),
    )


def _comment(payload: Any) -> Addressed | None:
    words = text(at(payload, "comment", "body")) or ""
    is_new = text(at(payload, "action")) == "created"
    if not is_new or at(payload, "issue", "pull_request") is None or not _addresses_us(words):
        return None
    return Addressed(
        _needed(text(at(payload, "repository", "full_name")), "repository.full_name"),
        _needed(whole(at(payload, "issue", "number")), "issue.number"),
        _needed(whole(at(payload, "comment", "id")), "comment.id"),
        _needed(text(at(payload, "comment", "user", "login")), "comment.user.login"),
        words,
    )


def _addresses_us(words: str) -> bool:
    return any(_ADDRESSED.search(line) and not _QUOTED.match(line) for line in words.splitlines())


def _release(payload: Any) -> ReleasePublished | None:
    found = at(payload, "release")
    if text(at(payload, "action")) != "published" or at(found, "draft") is True or at(found, "prerelease") is True:
        return None
    return ReleasePublished(
        _needed(text(at(payload, "repository", "full_name")), "repository.full_name"),
        _needed(moment(at(found, "published_at")), "release.published_at"),
    )


def _needed(value: T | None, name: str) -> T:
    if value is None:
        raise ValueError(f"the payload has no {name}")
    return value


_READERS: Mapping[str, Callable[[Any], GitHubEvent | None]] = MappingProxyType(
    {
        "pull_request": _pull_request,
        "check_suite": _checks("check_suite"),
        "check_run": _checks("check_run"),
        "pull_request_review": _review,
        "pull_request_review_comment": _review_comment,
        "issue_comment": _comment,
        "release": _release,
    }
)

GITHUB_EVENTS = frozenset(_READERS)
"""The names of the events that may say something."""
