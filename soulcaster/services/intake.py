"""From the bytes of feedback.raw to items: the border where any input may arrive.

Whatever the bytes are, each item in them becomes a FeedbackItem or a Refusal with its reason. Nothing raises, nothing
is dropped.
"""

import codecs
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from soulcaster.domain.feedback.items import Deleted, FeedbackItem, mask_item
from soulcaster.domain.feedback.times import TimesTold, is_credible
from soulcaster.domain.ids import item_id
from soulcaster.domain.sources import SOURCES, Delete, Upsert
from soulcaster.domain.text.language import language_of
from soulcaster.domain.text.normalize import cut, title_and_body, visible_values, well_formed, whole_line
from soulcaster.ports.messaging import Record
from soulcaster.services.item_watch import ItemWatch
from soulcaster.wire.feedback import MAX_ITEM_BYTES, Delivery, RawFeedback, form_of
from soulcaster.wire.fields import MAX_EXTERNAL_ID, OTHER_SOURCE, SOURCE_PATTERN
from soulcaster.wire.message import SCHEMA_VERSION
from soulcaster.wire.topics import MAX_MESSAGE_BYTES

AUTHOR_CHARS = 500
METADATA_CHARS = 32_768
"""Characters kept of each text in an item's metadata; feedback.raw has all of it."""

_RAW: TypeAdapter[RawFeedback] = TypeAdapter(RawFeedback)
_ITEM: TypeAdapter[FeedbackItem] = TypeAdapter(FeedbackItem)
_REQUIRED = frozenset(name for name, field in RawFeedback.model_fields.items() if field.is_required())

ALONE = 20
"""So many refused items of an envelope are set aside, each alone; where there are more, the envelope is, once.

An envelope of some kilobytes can hold as many items as it has commas. What is set aside is never more than what came.
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An item, and the JSON it travels as."""

    item: FeedbackItem
    json: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bytes that cannot be an item, and why. `index` is the item's index in its envelope, None for the whole record.

    `faults` are the invalid fields, each with what is wrong; "" means the item as a whole.
    """

    value: bytes
    reason: str
    index: int | None
    faults: tuple[tuple[str, str], ...] = ()


class _InvalidField(ValueError):
    """A field of an item is invalid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Contents(NamedTuple):
    """What is in a record: its items, its refusals, and (project id, tombstone) of items that their source deleted."""

    items: list[Accepted]
    refused: list[Refusal]
    deleted: list[tuple[str, Deleted]]


def read(record: Record, watch: ItemWatch | None = None) -> Contents:
    """Return what is in a record; its items are cleaned but not masked yet (`masked`)."""
    watch = watch or ItemWatch()
    value = record.value or b""
    try:
        message = _message(value)
        form = form_of(message)
        if form == "delivery":
            return _delivered(message, record, watch)
        if form == "item":
            return Contents([_one(message, record, 0, watch)], [], [])
        entries = _entries(message["items"])
    except ValueError as error:
        return Contents([], [Refusal(value, _reason(error), None, _faults(error))], [])
    contents = Contents([], [], [])
    refused = 0
    for index, entry in enumerate(entries):
        if refused > ALONE and not (isinstance(entry, dict) and entry.keys() >= _REQUIRED):
            refused += 1  # like those before it; the error itself would cost more than a good item
            continue
        try:
            contents.items.append(_one(entry, record, index, watch))
        except ValueError as error:
            refused += 1
            if refused <= ALONE:
                contents.refused.append(Refusal(_own_bytes(entry, value), _reason(error), index, _faults(error)))
    if refused > ALONE or sum(len(one.value) for one in contents.refused) > len(value):
        first = contents.refused[0]
        of_all = f"{refused:,} of {len(entries):,} items are refused; the first, {first.index}: {first.reason}"
        contents.refused[:] = [Refusal(value, of_all, None)]
    return contents


def _one(given: Any, record: Record, index: int, watch: ItemWatch) -> Accepted:
    """Return the item that a part of a record is.

    Raises:
        ValueError: it is none, or takes too long.
    """
    watch.begin()
    accepted = _accept(_RAW.validate_python(given), record, index)
    watch.check()
    return accepted


def masked(accepted: Accepted, watch: ItemWatch | None = None) -> Accepted:
    """Return the item without personal data in it.

    Raises:
        TooSlow: it takes too long.
    """
    watch = watch or ItemWatch()
    watch.begin()
    item = mask_item(accepted.item)
    watch.check()
    return accepted if item is accepted.item else Accepted(item, _ITEM.dump_json(item))


def as_other(accepted: Accepted) -> Accepted:
    """Return the item with the source `OTHER_SOURCE`; its own source moves into its id and metadata.

    Raises:
        ValueError: its id would be too long, or the item too large.
    """
    item = accepted.item
    external_id = _other_id(item.source, item.external_id)
    moved = replace(
        item,
        id=item_id(item.project_id, OTHER_SOURCE, external_id),
        source=OTHER_SOURCE,
        external_id=external_id,
        metadata={"source": item.source, **item.metadata},
    )
    return _sized(moved)


def generated_external_id(record: Record, index: int) -> str:
    """Return the external id of a record's item that came without one: the same each time the record is read."""
    return f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}/{index}"


def read_json(value: bytes) -> Any:
    """Return parsed JSON, read leniently: lone surrogates are replaced, and a byte order mark is skipped.

    Clients send lone surrogates when they cut a text in the middle of an emoji.

    Raises:
        ValueError: the bytes are not JSON.
    """
    value = value.removeprefix(codecs.BOM_UTF8)
    try:
        return pydantic_core.from_json(value, allow_inf_nan=False)
    except ValueError as strict:
        try:  # Python's parser accepts lone surrogates
            return _without_surrogates(json.loads(value, parse_constant=_refuse_constant))
        except (ValueError, RecursionError):
            raise ValueError(f"the message is not JSON: {strict}") from strict


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {well_formed(key): _without_surrogates(part) for key, part in value.items()}
    return value


def _message(value: bytes) -> dict[str, Any]:
    """Return the message that the bytes are.

    Raises:
        ValueError: they are not a message of a version that this program reads.
    """
    if not value:
        raise ValueError("the message is empty")
    if len(value) > MAX_MESSAGE_BYTES:  # Kafka counts the bytes of a compressed message
        raise ValueError(f"the message has {len(value):,} bytes; a message may have {MAX_MESSAGE_BYTES:,}")
    message = read_json(value)
    if not isinstance(message, dict):
        raise ValueError("the message is not a JSON object")
    version = message.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ValueError(f"schema_version {version!r} is not known; this program reads {SCHEMA_VERSION}")
    return message


def _entries(items: Any) -> Sequence[Any]:
    """Return the items of an envelope, as JSON.

    Raises:
        ValueError: there are none.
    """
    if not isinstance(items, list) or not items:
        raise ValueError("items is not a list" if not isinstance(items, list) else "items is empty")
    return items


def _delivered(message: dict[str, Any], record: Record, watch: ItemWatch) -> Contents:
    """Return what is in a vendor's delivery.

    Raises:
        ValueError: it is not a delivery, or the vendor's parser cannot read it.
    """
    watch.begin()
    delivery = Delivery.model_validate(message)
    source = SOURCES.get(delivery.vendor)
    if source is None:
        raise ValueError(f"vendor {delivery.vendor!r} is not known; this program knows {', '.join(SOURCES)}")
    contents = Contents([], [], [])
    for index, outcome in enumerate(source.parse(delivery.headers, delivery.payload)):
        if isinstance(outcome, Upsert):
            raw = RawFeedback(project_id=delivery.project_id, **outcome.fields())
            contents.items.append(_accept(raw, record, index))
            watch.check()
        elif isinstance(outcome, Delete):
            deleted_id = item_id(delivery.project_id, delivery.vendor, outcome.external_id)
            received_at = at = _received_at(record)
            if outcome.version is not None and is_credible(outcome.version, received_at):
                at = outcome.version
            tombstone = Deleted(deleted_id, at)
            contents.deleted.append((delivery.project_id, tombstone))
    return contents


def _accept(raw: RawFeedback, record: Record, index: int) -> Accepted:
    """Return the item that a part of a record is.

    Raises:
        ValueError: a field is invalid, there is no text in it, or it is too large.
    """
    title, body = title_and_body(raw.title, raw.body)
    if not body:
        raise _InvalidField("body", "there is no text in it: title and body hold nothing that can be read")
    received_at = _received_at(record)
    given = {"created_at": raw.created_at, "updated_at": raw.updated_at}
    told = {name: at for name, at in given.items() if at is not None and not is_credible(at, received_at)}
    metadata = visible_values(raw.metadata, METADATA_CHARS)
    source, external_id = _source_and_id(raw.source, raw.external_id or generated_external_id(record, index))
    item = FeedbackItem(
        id=item_id(raw.project_id, source, external_id),
        project_id=raw.project_id,
        source=source,
        external_id=external_id,
        title=title,
        body=body,
        created_at=received_at if raw.created_at is None or "created_at" in told else raw.created_at,
        received_at=received_at,
        author=_line(raw.author, AUTHOR_CHARS),
        url=_line(raw.url),
        github_repo_url=_line(raw.github_repo_url),
        metadata=metadata if source == raw.source else {"source": raw.source, **metadata},
        language=language_of(body),
        updated_at=received_at if "updated_at" in told else raw.updated_at,
        occurrence_id=raw.occurrence_id,
        words=raw.words,
        times_told=TimesTold(**told) if told else None,
    )
    return _sized(item)


def _line(given: str | None, limit: int | None = None) -> str | None:
    """Return a field on one line, None where there is nothing in it that can be read."""
    if not given:
        return None
    line = whole_line(given)
    return (line if limit is None else cut(line, limit)) or None


def _sized(item: FeedbackItem) -> Accepted:
    """Return the item with its JSON.

    Raises:
        ValueError: it is too large.
    """
    as_json = _ITEM.dump_json(item)
    if len(as_json) > MAX_ITEM_BYTES:
        raise ValueError(f"the item has {len(as_json):,} bytes; an item may have {MAX_ITEM_BYTES:,}")
    return Accepted(item, as_json)


def _source_and_id(source: str, external_id: str) -> tuple[str, str]:
    """Return the item's source and its id there.

    A source name that `SOURCE_PATTERN` does not allow moves into the id, so that items of two such sources stay apart.

    Raises:
        ValueError: the id would be too long.
    """
    if re.fullmatch(SOURCE_PATTERN, source):
        return source, external_id
    return OTHER_SOURCE, _other_id(source, external_id)


def _other_id(source: str, external_id: str) -> str:
    """Return the id at `OTHER_SOURCE` of an item of a source that cannot have its own name there.

    Raises:
        ValueError: the id would be too long.
    """
    other_id = f"{source.lower()}/{external_id}"
    if len(other_id) > MAX_EXTERNAL_ID:
        most = MAX_EXTERNAL_ID - len(source) - 1
        raise _InvalidField("external_id", f"with the source {source!r} an external_id may have {most} characters")
    return other_id


def _received_at(record: Record) -> datetime:
    """Return when a record came in: always the same, also on a replay.

    Raises:
        ValueError: its producer gave it a time that is none.
    """
    try:
        return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"the time of the message, {record.timestamp_ms} ms since 1970, is out of range") from error


def _own_bytes(part: Any, value: bytes) -> bytes:
    """Return one item of a message as JSON, or the whole message where that is shorter: it fits a topic as it came."""
    own = json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()
    return min(own, value, key=len)


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{field or 'item'}: {message}" for field, message in _faults(error))


def _faults(error: ValueError) -> tuple[tuple[str, str], ...]:
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return tuple((".".join(map(str, d["loc"])), d["msg"]) for d in details)
    return ((error.field if isinstance(error, _InvalidField) else "", str(error)),)
