"""Feedback items, and what clustering compares of them."""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Literal

from soulcaster.domain.feedback.times import TimesTold
from soulcaster.domain.text.comparable import comparable
from soulcaster.domain.text.forms import without_kind
from soulcaster.domain.text.language import foreign_languages
from soulcaster.domain.text.masking import mask_personal, mask_values
from soulcaster.domain.text.normalize import CUT, GIVEN_TITLE_CHARS, TITLE_CHARS, one_line
from soulcaster.domain.text.wordless import wordless

COMPARED_CHARS = 2_000
"""Characters of an item that are compared, counted after trimming and masking; all of the item is kept."""

_REPO = re.compile(
    r"(?:https?://(?:www\.)?github\.com/)?([\w.-]{1,100}/[\w.-]{1,100}?)(?:\.git)?/?", re.ASCII | re.IGNORECASE
)
_ISSUE = re.compile(
    r"https?://(?:www\.)?github\.com/([\w.-]{1,100}/[\w.-]{1,100})/(?:issues|pull|discussions)/.*",
    re.ASCII | re.IGNORECASE,
)

_canonical = json.JSONEncoder(sort_keys=True, default=str).encode


TextOrigin = Literal["own", "sample", "summary"]
"""Where an item's title, body and url come from: its own text, of which the newest version counts; one sample of many
occurrences, of which the first stays; or a summary made from a message without details."""


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """One piece of feedback, cleaned. `created_at` is the author's time, `received_at` ours.

    `language` is an ISO 639-1 code, or None if unknown. `updated_at` is the source's time of this version, if it gives
    one. `occurrence_id` is the id of the event behind this version, where many events are one item. `times_told` are
    times that cannot be true; the fields of these names have the time of intake instead.

    Where a time decides something, it is `counted_at` or `version_at`: the sender's, but never after intake.
    """

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
    language: str | None = None
    updated_at: datetime | None = None
    occurrence_id: str | None = None
    words: TextOrigin = "own"
    times_told: TimesTold | None = None

    @property
    def counted_at(self) -> datetime:
        """Return the time that clustering compares with others."""
        return min(self.created_at, self.received_at)

    @property
    def version_at(self) -> datetime | None:
        """Return the time that says which version is newer, if the source gives one."""
        return None if self.updated_at is None else min(self.updated_at, self.received_at)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A tombstone: the item is deleted for good since `at`; later versions of it are dropped.

    `command_id` is the id of the request that deleted it; None if nobody waits for the outcome.
    """

    id: str
    at: datetime
    command_id: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedItem:
    """What clustering needs of an item: id, source, title, compared text and time; the last is never after intake.

    `languages` are the likeliest languages that the embedder does not know, with their probabilities
    (`language.foreign_languages`); empty where it knows the language.
    """

    id: str
    source: str
    title: str
    text: str
    created_at: datetime
    languages: tuple[tuple[str, float], ...] = ()


def compared_item(item: FeedbackItem) -> ComparedItem:
    """Return what clustering compares of an item; a title that repeats the start of the body is left out."""
    title = item.title.removesuffix(CUT)
    repeats = item.body.startswith(title) or one_line(item.body, GIVEN_TITLE_CHARS).startswith(title)
    text = comparable(item.body, COMPARED_CHARS)
    if not repeats:
        text = f"{comparable(without_kind(item.title), GIVEN_TITLE_CHARS)}\n{text}"
    text = text[:COMPARED_CHARS].strip() or item.title
    return ComparedItem(item.id, item.source, item.title, wordless(text) or text, item.counted_at)


def with_languages(item: ComparedItem, language: str | None, known: frozenset[str] | None) -> ComparedItem:
    """Return a compared item with the languages that it may be in besides those that are known (None: all are).

    An item whose language is known is not looked at again.
    """
    if known is None or language in known:
        return item
    languages = foreign_languages(item.text, known)
    return replace(item, languages=languages) if languages else item


def mask_item(item: FeedbackItem) -> FeedbackItem:
    """Return the item with personal data masked in title, body, author and the texts of its metadata.

    A title that was made from the body is made again: it may have been cut in the middle of personal data. URLs (`url`,
    `github_repo_url`), ids and the names of metadata stay. Returns the same object if there is nothing to mask.
    """
    body = mask_personal(item.body)
    title = _title_after(item, body)
    author = item.author and mask_personal(item.author)
    metadata = mask_values(item.metadata)
    if (title, body, author) == (item.title, item.body, item.author) and metadata is item.metadata:
        return item
    return replace(item, title=title, body=body, author=author, metadata=metadata)


def _title_after(item: FeedbackItem, body: str) -> str:
    """Return the masked title of an item whose body is masked as given."""
    title = item.title
    if body != item.body:
        made = (limit for limit in (TITLE_CHARS, GIVEN_TITLE_CHARS) if title == one_line(item.body, limit))
        title = next((one_line(body, limit) for limit in made), title)
    return mask_personal(title)


def content_hash(item: FeedbackItem) -> bytes:
    """Return a hash of 8 bytes over all that a source can change of an item; an equal hash means no new content.

    Times of receipt are left out: they differ each time the same item is sent. Derived fields, such as the language,
    are left out too: deriving them differently is no new content.
    """
    texts = (item.title, item.body, item.author, item.url, item.github_repo_url)
    content = ["null" if text is None else encode_basestring_ascii(text) for text in texts]
    content.append(_canonical(item.metadata) if item.metadata else "{}")
    return hashlib.blake2b(f"[{', '.join(content)}]".encode(), digest_size=8).digest()


def github_repo(named: object) -> str | None:
    """Return "owner/name" of a GitHub repository given by name or URL; None for anything else."""
    found = _REPO.fullmatch(named) if isinstance(named, str) else None
    return found[1] if found else None


def repo_of(item: FeedbackItem) -> str | None:
    """Return the GitHub repository an item is about: the one it names, or that of its issue; None if there is none."""
    for named in (item.github_repo_url, item.metadata.get("repo")):
        if repo := github_repo(named):
            return repo
    for address in (item.metadata.get("github_issue_url"), item.url):
        if isinstance(address, str) and (found := _ISSUE.fullmatch(address)):
            return found[1]
    return None
