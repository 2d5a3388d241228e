"""What people said: the item, how it gets its id, and the text of it that is compared."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11")
"""Namespace of every deterministic id (RFC 9562, version 5)."""

BRIEF_CHARS = 2_000
"""Characters of an item that are compared; the rest is kept but does not count."""


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


def item_id(project_id: str, source: str, external_id: str) -> str:
    """Return the id of an item: UUIDv5 of the three, so that the same thing sent twice is one item."""
    return str(uuid5(NAMESPACE, json.dumps([project_id, source, external_id])))


def project_id_for(name: str) -> str:
    """Return the id of the project that is made for a name that is not known yet."""
    return str(uuid5(NAMESPACE, json.dumps(["project", name])))


def brief(item: FeedbackItem) -> Brief:
    """Return what clustering needs of an item; a title that only repeats the body's start is not counted twice."""
    text = item.body if item.body.startswith(item.title) else f"{item.title}\n{item.body}"
    return Brief(item.id, item.source, item.title, text[:BRIEF_CHARS].strip() or item.title, item.created_at)


def content_hash(item: FeedbackItem) -> bytes:
    """Return 8 bytes over all a source can change of an item; equal means nothing new was said.

    Times of receipt are left out: they differ each time the same thing is sent.
    """
    said = [item.title, item.body, item.author, item.url, item.github_repo_url, item.metadata]
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
