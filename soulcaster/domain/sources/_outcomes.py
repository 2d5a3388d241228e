"""What a vendor's payload means for feedback."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soulcaster.domain.feedback.items import TextOrigin


@dataclass(frozen=True, slots=True)
class Upsert:
    """An item as its source tells it now: the fields of `messages.RawFeedback` but the project, and some more.

    `metadata` holds what is steady. `volatile` holds what changes without anybody having said anything: counts, and
    release and environment of the newest occurrence. It belongs with the metadata for whoever reads the item, but is no
    edit of it.

    `occurrence_id` is the id of the one event that this tells of, where many events are one item: counting different
    ones counts the events. `version` is when this was so at the source; what is older than the known version is late.
    Both are None where the source does not say.
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
        """Return what `messages.RawFeedback` takes, but for the project; metadata and volatile are one there."""
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
    """The item is no more at its source, so it must be no more here; `version` is as in `Upsert`."""

    external_id: str
    version: datetime | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """The payload is understood and is no feedback."""

    reason: str


Outcome = Upsert | Delete | Nothing

Parse = Callable[[Mapping[str, str], Any], Sequence[Outcome]]
"""From headers (names in lower case) and JSON to outcomes, at least one; ValueError says what is missing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A vendor: its name (which is `Upsert.source`), the headers its parser reads, and the parser."""

    name: str
    headers: tuple[str, ...]
    parse: Parse
