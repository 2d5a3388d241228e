"""What people said: the item, and the text of it that is compared."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soulcaster.domain.normalize import CUT, GIVEN_TITLE_CHARS, one_line

BRIEF_CHARS = 2_000
"""Characters of an item that are compared; the rest is kept but does not count."""

_REPO = re.compile(
    r"(?:https?://(?:www\.)?github\.com/)?([\w.-]{1,100}/[\w.-]{1,100}?)(?:\.git)?/?", re.ASCII | re.IGNORECASE
)
_ISSUE = re.compile(
    r"https?://(?:www\.)?github\.com/([\w.-]{1,100}/[\w.-]{1,100})/(?:issues|pull|discussions)/.*",
    re.ASCII | re.IGNORECASE,
)

_canonical = json.JSONEncoder(sort_keys=True, default=str).encode


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """One piece of feedback, cleaned. `created_at` is the author's time, `received_at` ours."""

    id: str
    project_id: str
    source: str
    external_id: str
    title: str
    body: str
    created_at: datetime
    received_at: datetime
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Brief:
    """What clustering needs of an item: its id, where it is from, its title and the text that is compared."""

    id: str
    source: str
    title: str
    text: str
    created_at: datetime


def brief(item: FeedbackItem) -> Brief:
    """Return what clustering needs of an item; a title that only repeats the body's start is not counted twice."""
    title = item.title.removesuffix(CUT)
    repeats = item.body.startswith(title) or one_line(item.body, GIVEN_TITLE_CHARS).startswith(title)
    text = item.body if repeats else f"{item.title}\n{item.body}"
    return Brief(item.id, item.source, item.title, text[:BRIEF_CHARS].strip() or item.title, item.created_at)


def content_hash(item: FeedbackItem) -> bytes:
    """Return 8 bytes over all a source can change of an item; equal means nothing new was said.

    Times of receipt are left out: they differ each time the same thing is sent.
    """
    said = [item.title, item.body, item.author, item.url, item.github_repo_url, item.metadata]
    return hashlib.blake2b(_canonical(said).encode(), digest_size=8).digest()


def github_repo(named: object) -> str | None:
    """Return "owner/name" of a repository at GitHub, named so or by its address; None for anything else."""
    found = _REPO.fullmatch(named) if isinstance(named, str) else None
    return found[1] if found else None


def repo_of(item: FeedbackItem) -> str | None:
    """Return the repository at GitHub that an item is about: named by it, or that of the issue it is; None if none."""
    for named in (item.github_repo_url, item.metadata.get("repo")):
        if repo := github_repo(named):
            return repo
    for address in (item.metadata.get("github_issue_url"), item.url):
        if isinstance(address, str) and (found := _ISSUE.fullmatch(address)):
            return found[1]
    return None
