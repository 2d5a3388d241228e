"""What a vendor's payload changes: an item appears or changes, an item is deleted, or nothing happens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soulcaster.domain.feedback.items import TextOrigin


@dataclass(frozen=True, slots=True)
class Upsert:
    """A new or changed item as its source has it: `wire.feedback.RawFeedback` without the project, and more fields.

    `metadata` holds stable values. `volatile` holds values that change without new feedback: counts, and release and
    environment of the newest occurrence. Readers see both as metadata, but a change of `volatile` is no edit.

    `occurrence_id` is the id of the event behind this payload, where many events are one item: distinct ids count the
    events. `version` is the source's time of this state; a state older than the known version is late. Both are None if
    the source does not give them.
    """

    source: str
    external_id: str
    title: str | None = None
    body: str | None = None
    created_at: datetime | None = None
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    volatile: Mapping[str, Any] = field(default_factory=dict)
    occurrence_id: str | None = None
    version: datetime | None = None
    words: TextOrigin = "own"

    def fields(self) -> dict[str, Any]:
        """Return the fields of `wire.feedback.RawFeedback` without the project; metadata and volatile are joined."""
        return {
            "source": self.source,
            "external_id": self.external_id,
            "title": self.title,
            "body": self.body,
            "created_at": self.created_at,
            "author": self.author,
            "url": self.url,
            "github_repo_url": self.github_repo_url,
            "metadata": {**self.metadata, **self.volatile},
            "updated_at": self.version,
            "occurrence_id": self.occurrence_id,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class Delete:
    """The source deleted the item, so it is deleted here; `version` is as in `Upsert`."""

    external_id: str
    version: datetime | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """The payload is valid but is no feedback; `reason` says why."""

    reason: str


SourceChange = Upsert | Delete | Nothing

Parse = Callable[[Mapping[str, str], Any], Sequence[SourceChange]]
"""Turns headers (names in lower case) and JSON into changes, at least one; raises ValueError for an invalid payload."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source: its name (as in `Upsert.source`), the headers its parser reads, and the parser."""

    name: str
    headers: tuple[str, ...]
    parse: Parse
