"""feedback.raw and feedback.items: what producers send, and the items made from it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from soulcaster.domain.feedback.items import Deleted, FeedbackItem, TextOrigin
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.wire.fields import ExternalId, GivenSource, Metadata, ProjectId, Source, Time
from soulcaster.wire.message import SCHEMA_VERSION, Message
from soulcaster.wire.topics import ENVELOPE_BYTES

ENVELOPE_ITEMS = 500
"""Items in one envelope of feedback.raw at most."""

MAX_ITEM_BYTES = 256 * 1024
"""A larger item (as JSON) is no feedback that a person can read; it is dead-lettered."""

TOMBSTONE_BYTES = 512
"""An upper bound of a tombstone's size as JSON."""

PROJECT_HEADER = "soulcaster-project"
"""The header of a message of feedback.raw that names its project, where all of the message is of one project."""


def of_project(project_id: str) -> tuple[tuple[str, bytes], ...]:
    """Return the headers of a message of feedback.raw that is of one project."""
    return ((PROJECT_HEADER, project_id.encode()),)


class RawFeedback(BaseModel):
    """feedback.raw: one item, as any producer may send it.

    `external_id` is the item's id at its source: the same one sent twice is one item, newest version wins. Without it
    each message is an item of its own, so two people's identical words stay two items. `updated_at`, `occurrence_id`
    and `words` are those of `FeedbackItem`: with a time, a version that comes late does not count.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    project_id: ProjectId
    source: GivenSource
    title: str | None = None
    body: str | None = None
    external_id: ExternalId | None = None
    created_at: Time | None = None
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    updated_at: Time | None = None
    occurrence_id: ExternalId | None = None
    words: TextOrigin = "own"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.title or self.body):
            raise ValueError("give a title or a body")
        return self


class RawEnvelope(Message):
    """feedback.raw: many items at once, possibly of several projects."""

    items: tuple[RawFeedback, ...]


MAX_HEADERS = 200
"""Headers of a delivery; a parser reads a handful."""


def _few(headers: Any) -> Any:
    """Refuse too many headers before each of them is looked at."""
    if isinstance(headers, dict) and len(headers) > MAX_HEADERS:
        raise ValueError(f"there are {len(headers):,} headers; a delivery may have {MAX_HEADERS}")
    return headers


class Delivery(Message):
    """feedback.raw: what a vendor sent, unchanged; agents/normalize parses it, also again on a replay.

    `vendor` names the parser (`domain.sources.SOURCES`), `headers` are those that it reads, in lower case.
    """

    project_id: ProjectId
    vendor: Source
    headers: Annotated[dict[str, str], BeforeValidator(_few)]
    payload: Any


def form_of(message: Mapping[str, Any]) -> Literal["item", "envelope", "delivery"]:
    """Return what a message of feedback.raw is: a `RawFeedback`, a `RawEnvelope` or a `Delivery`.

    No key tells alone, because a producer's own fields may have any name, `items` and `vendor` too. What has words of
    its own is an item.

    Raises:
        ValueError: it is an item and holds others, so either reading would lose something.
    """
    items = message.get("items")
    is_delivery = all(key in message for key in ("vendor", "headers", "payload"))
    if _has_words(message):
        if is_delivery:
            raise ValueError("it is a vendor's delivery, but has a title or a body of its own: send one of the two")
        if isinstance(items, list) and any(
            isinstance(one, dict) and "source" in one and _has_words(one) for one in items
        ):
            raise ValueError("it is an item, but has items with texts of their own: send one of the two")
        return "item"
    if is_delivery or ("vendor" in message and "items" not in message and "source" not in message):
        return "delivery"
    return "envelope" if "items" in message else "item"


def _has_words(message: Mapping[str, Any]) -> bool:
    return any(isinstance(words := message.get(key), str) and words.strip() for key in ("title", "body"))


class ItemsEnvelope(Message):
    """feedback.items: cleaned items of one project, and tombstones of deleted items.

    A tombstone holds wherever it stands: what comes of its item later counts no more.
    """

    project_id: ProjectId
    items: tuple[FeedbackItem, ...]
    deleted: tuple[Deleted, ...] = ()


def raw_envelopes(items: Sequence[bytes]) -> Iterator[bytes]:
    """Yield RawEnvelope messages of items given as JSON, each below `ENVELOPE_BYTES` and `ENVELOPE_ITEMS`."""
    head = b'{"schema_version":%d,"items":[' % SCHEMA_VERSION
    for run in split_by_bytes([(item, len(item) + 1) for item in items], ENVELOPE_BYTES - len(head) - 2):
        for start in range(0, len(run), ENVELOPE_ITEMS):
            yield head + b",".join(run[start : start + ENVELOPE_ITEMS]) + b"]}"


def items_envelopes(project_id: str, items: Sequence[bytes], deleted: Sequence[Deleted] = ()) -> Iterator[bytes]:
    """Yield ItemsEnvelope messages of items given as JSON, each below `ENVELOPE_BYTES` where items allow.

    Tombstones come after all items.
    """
    head = b'{"schema_version":%d,"project_id":"%s","items":[' % (SCHEMA_VERSION, project_id.encode())
    for run in split_by_bytes([(item, len(item) + 1) for item in items], ENVELOPE_BYTES - len(head)):
        yield head + b",".join(run) + b"]}"
    for gone in split_by_bytes([(one, TOMBSTONE_BYTES) for one in deleted], ENVELOPE_BYTES):
        yield ItemsEnvelope(project_id=project_id, items=(), deleted=tuple(gone)).to_bytes()
