"""Dead letters read back: what was set aside, whose it is, and how it is sent again."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from soulcaster.ports.dead_letters import DeadLetter
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.services.intake import own_id, read_json
from soulcaster.wire.topics import (
    CLUSTER_COMMANDS,
    CLUSTER_EVENTS,
    FEEDBACK_EMBEDDED,
    FEEDBACK_ITEMS,
    FEEDBACK_RAW,
    FIX_COMMANDS,
    JOB_EVENTS,
)

REPLAYED = frozenset(topic.name for topic in (FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED))
"""Topics whose letters are sent again.

Feedback may come late, and twice. A command is asked again where it was asked, by whoever may; it may start a fix. An
event sent again would stand after newer ones, and a key's definition would undo that it was revoked.
"""

_OF_PROJECTS = frozenset(
    topic.name
    for topic in (FEEDBACK_ITEMS, FEEDBACK_EMBEDDED, CLUSTER_COMMANDS, CLUSTER_EVENTS, FIX_COMMANDS, JOB_EVENTS)
)
"""Topics whose messages have their project as key."""


def read_letter(record: Record, headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter | None:
    """Return the dead letter that a record is; None when its headers are not those of `failures.dead_letter`."""
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
    value = record.value or b""
    try:
        original = Record(
            said["topic"],
            int(said["partition"]),
            int(said["offset"]),
            int(said["timestamp"]),
            record.key,
            value,
        )
        return DeadLetter(
            partition=record.partition,
            offset=record.offset,
            at=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
            original=original,
            size=len(value),
            reason=said["reason"],
            index=int(said["index"]) if "index" in said else None,
            project_id=project_of(original),
        )
    except (KeyError, ValueError):  # a program of somebody else's may write here too
        return None


def project_of(record: Record) -> str | None:
    """Return the project that a record is of: the one that it names, by its key or in its value, and no other.

    None where it names none or several, as where it is not JSON, and for `control`, which holds keys: such a letter is
    nobody's, and `soulcaster tail` alone shows it.
    """
    try:
        message = read_json(record.value or b"")
    except ValueError:
        message = None
    if record.topic == FEEDBACK_RAW.name:
        named = list(_named(message))
    elif record.topic in _OF_PROJECTS:
        key = (record.key or b"").decode("utf-8", "replace")
        named = [key, *(name for name in _named(message) if name is not None)]
    else:
        return None
    first = named[0] if named else None
    return first if isinstance(first, str) and first and all(name == first for name in named) else None


def _named(message: Any) -> Iterator[Any]:
    """Yield the project that each part of a message names; None for a part that names none."""
    if not isinstance(message, dict):
        return
    items = message.get("items")
    parts = items if isinstance(items, list) else ()
    if not parts or "project_id" in message:
        yield message.get("project_id")
    for part in parts:
        yield part.get("project_id") if isinstance(part, dict) else None


def again(letter: DeadLetter) -> Outgoing:
    """Return the message that a whole letter is sent again as: to the topic it came from, with its key.

    An item of feedback.raw that has no external id gets the one that it would have had, so that it is the same item
    however often it is sent again.
    """
    original = letter.original
    value = original.value or b""
    if original.topic == FEEDBACK_RAW.name:
        value = _with_ids(letter, value)
    return Outgoing(original.topic, original.key, value)


def _with_ids(letter: DeadLetter, value: bytes) -> bytes:
    """Return a message of feedback.raw with an external id for each item; where one item was refused, that item."""
    try:
        message = read_json(value)
        items = message.get("items") if isinstance(message, dict) else None
        sent: Any
        if not isinstance(items, list):
            sent = _with_id(letter, message, letter.index or 0)
        elif letter.index is None:
            sent = message | {"items": [_with_id(letter, item, index) for index, item in enumerate(items)]}
        else:  # the envelope was shorter than its one item; the others in it have gone on
            sent = _with_id(letter, items[letter.index], letter.index)
        return value if sent == message else json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, IndexError, RecursionError):
        return value  # as it came: it is refused again, with its reason


def _with_id(letter: DeadLetter, item: Any, index: int) -> Any:
    if isinstance(item, dict) and item.get("external_id") is None:
        return item | {"external_id": own_id(letter.original, index)}
    return item
