"""What people said: the item, and the text of it that is compared."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soulcaster.domain.normalize import CUT, GIVEN_TITLE_CHARS, one_line

BRIEF_CHARS = 2_000
"""Characters of an item that are compared; the rest is kept but does not count."""

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
class Deleted:
    """A tombstone: the item of this id is gone for good since `at`, whatever else is still said of it.

    `command_id` is that of who asked for it; None where nobody waits for an answer.
    """

    id: str
    at: datetime
    command_id: str | None = None


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
