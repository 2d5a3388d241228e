"""Dead letters: what a consumer cannot process is kept with its reason, read back, and sent again on request."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import stamina
import structlog

from soulcaster.domain.lost_records import DamagedRecords
from soulcaster.errors import Conflict, KafkaUnavailable, NotFound
from soulcaster.ports.clock import Clock
from soulcaster.ports.dead_letters import DeadLetter, DeadLetters
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.intake import generated_external_id, read_json
from soulcaster.services.retrying import MAX_WAIT_SECONDS
from soulcaster.telemetry.metrics import DAMAGED_RECORDS
from soulcaster.telemetry.metrics import DEAD_LETTERS as DEAD_LETTERS_SENT
from soulcaster.wire.feedback import form_of
from soulcaster.wire.topics import (
    DEAD_LETTERS,
    FEEDBACK_EMBEDDED,
    FEEDBACK_ITEMS,
    FEEDBACK_RAW,
    MAX_MESSAGE_BYTES,
    TOPICS,
)

log = structlog.get_logger(__name__)

SEND_SECONDS = 60.0
"""How long sending dead letters is retried; after that the process ends rather than lose them."""

Kind = Literal["invalid", "failed", "job", "damaged"]
"""Why, in metrics: not what its topic carries, made an agent raise, the order of a dead job, or unreadable bytes."""

MAX_REASON = 2_000
"""Characters of a reason that are kept."""

PROJECT_HEADER = "project"
"""The header with the project of a letter, empty where it has none; letters of older versions lack it.

Whoever looks for the letters of one project passes over those of others by it, without reading what they hold.
"""

MAX_KEY = 1_024
"""Bytes of a key that are kept. Ours are shorter, and of others' only the place on a topic hangs on it."""

BEGINNING_BYTES = 64 * 1024
"""What is kept of a value that is larger than a message may be.

Kafka counts the bytes of a message as they travel, so a compressed one may be of any size here. Such a letter cannot be
sent again in any case: its beginning shows what it is, and its own topic has the whole.
"""

REPLAYABLE = frozenset(topic.name for topic in (FEEDBACK_RAW, FEEDBACK_ITEMS, FEEDBACK_EMBEDDED))
"""Topics whose dead letters can be sent again.

Feedback may come late, and twice. A command is sent again through its own route, which checks the sender's rights; it
may start a fix. An event that is sent again would follow newer ones. An API key's definition would undo its revocation.
"""

_KEYED_BY_PROJECT = frozenset(topic.name for topic in TOPICS if topic.key == "project id")
"""Topics whose messages have their project as key."""


def dead_letter(record: Record, reason: str, *, value: bytes | None = None, index: int | None = None) -> Outgoing:
    """Return the dead letter of a record, or of the one item `value` at `index` in it.

    Its value is the bytes as they came, or the beginning of more than a message may have; its headers say where they
    came from and why they cannot be processed. It is never larger than its topic takes.
    """
    whole = (record.value or b"") if value is None else value
    return _letter(record, whole, reason, {} if index is None else {"index": str(index)})


def damaged_letter(damaged: DamagedRecords, at_ms: int) -> Outgoing:
    """Return the dead letter of records that cannot be read: the batch as it came, and where and why.

    Its `offset` is that of the first, `until` the one behind the last; its time, `at_ms`, is when it was set aside.
    """
    record = Record(damaged.topic, damaged.partition, damaged.first, at_ms, None, damaged.data)
    return _letter(record, damaged.data, damaged.reason, {"until": str(damaged.next)})


async def set_damaged_aside(publisher: Publisher, damaged: DamagedRecords, clock: Clock) -> None:
    """Send the dead letter of records that cannot be read, and count them.

    Raises:
        KafkaUnavailable: Kafka did not acknowledge it.
    """
    at_ms = int(clock().timestamp() * 1000)
    await send_dead_letters(publisher, [damaged_letter(damaged, at_ms)], "damaged")
    DAMAGED_RECORDS.labels(damaged.topic).inc(damaged.count)
    log.critical("records cannot be read and are set aside", what=damaged.what)


def _letter(record: Record, whole: bytes, reason: str, more: Mapping[str, str]) -> Outgoing:
    is_cut = len(whole) > MAX_MESSAGE_BYTES
    key = None if record.key is None else record.key[:MAX_KEY]
    kept = whole[:BEGINNING_BYTES] if is_cut else whole
    headers = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp_ms),
        "reason": reason[:MAX_REASON],
        PROJECT_HEADER: project_of(replace(record, key=key, value=kept)) or "",
        **more,
    }
    if is_cut:
        headers["size"] = str(len(whole))
        headers["sha256"] = hashlib.sha256(whole).hexdigest()
    return Outgoing(
        DEAD_LETTERS.name,
        key,
        kept,
        tuple((name, text.encode("utf-8", "replace")) for name, text in headers.items()),
    )


async def send_dead_letters(publisher: Publisher, letters: Sequence[Outgoing], kind: Kind) -> None:
    """Send dead letters of one kind, retrying for `SEND_SECONDS`.

    Raises:
        KafkaUnavailable: Kafka did not acknowledge them; the process must end, with nothing acknowledged.
    """
    if not letters:
        return
    async for attempt in stamina.retry_context(
        on=KafkaUnavailable, attempts=None, timeout=SEND_SECONDS, wait_max=MAX_WAIT_SECONDS
    ):
        with attempt:
            await publisher.publish(letters)
    for topic, count in Counter(dict(letter.headers)["topic"] for letter in letters).items():
        DEAD_LETTERS_SENT.labels(topic.decode(), kind).inc(count)


def read_dead_letter(record: Record, headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter | None:
    """Return the dead letter in a record; None where its headers are not those that `dead_letter` writes."""
    texts = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
    value = record.value or b""
    try:
        original = Record(
            texts["topic"],
            int(texts["partition"]),
            int(texts["offset"]),
            int(texts["timestamp"]),
            record.key,
            value,
        )
        return DeadLetter(
            partition=record.partition,
            offset=record.offset,
            at=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
            original=original,
            size=max(len(value), int(texts.get("size", 0))),
            reason=texts["reason"],
            index=int(texts["index"]) if "index" in texts else None,
            project_id=texts[PROJECT_HEADER] or None if PROJECT_HEADER in texts else project_of(original),
        )
    except (KeyError, ValueError):  # another program may write to the topic too
        return None


def read_damaged(headers: Iterable[tuple[str, bytes | None]]) -> DamagedRecords | None:
    """Return what a dead letter with these headers says cannot be read, without its bytes; None where it says none."""
    texts = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
    try:
        first, behind = int(texts["offset"]), int(texts["until"])
        return DamagedRecords(texts["topic"], int(texts["partition"]), first, behind, texts["reason"])
    except (KeyError, ValueError):
        return None


def project_of(record: Record) -> str | None:
    """Return the one project that a record names, by its key or in its value.

    None where it names no project or several, where it is not JSON, and for `control`, which holds API keys. Such a
    letter belongs to no project, and only `soulcaster tail` shows it.
    """
    try:
        message = read_json(record.value or b"")
    except ValueError:
        message = None
    if record.topic == FEEDBACK_RAW.name:
        named = list(_named_projects(message))
    elif record.topic in _KEYED_BY_PROJECT:
        key = (record.key or b"").decode("utf-8", "replace")
        named = [key, *(name for name in _named_projects(message) if name is not None)]
    else:
        return None
    first = named[0] if named else None
    return first if isinstance(first, str) and first and all(name == first for name in named) else None


def _named_projects(message: Any) -> Iterator[Any]:
    """Yield the project that each part of a message names; None for a part that names none."""
    if not isinstance(message, dict):
        return
    parts = _entries(message)
    if not parts or "project_id" in message:
        yield message.get("project_id")
    for part in parts:
        yield part.get("project_id") if isinstance(part, dict) else None


class DeadLetterReplay:
    """Sends dead letters again to the topics they came from."""

    def __init__(self, dead_letters: DeadLetters, publisher: Publisher) -> None:
        self._dead_letters = dead_letters
        self._publisher = publisher

    async def find(self, project_id: str, letter_id: str) -> DeadLetter:
        """Return a dead letter of a project that can be sent again.

        Raises:
            NotFound: the project has no such dead letter.
            Conflict: it is not feedback (`REPLAYABLE`), or only its beginning was kept.
            Unavailable: Kafka does not answer.
        """
        letter = await self._dead_letters.get(project_id, letter_id)
        if letter is None:
            raise NotFound("Dead letter not found for project")
        topic = letter.original.topic
        if topic not in REPLAYABLE:
            raise Conflict(f"Only feedback can be sent again; this letter was on {topic}.")
        if len(letter.original.value or b"") < letter.size:
            raise Conflict(
                f"It was too large to be kept whole: {letter.size:,} bytes. {letter.original.position} has all of it."
            )
        return letter

    async def send(self, letter: DeadLetter) -> None:
        """Send what `find` has found again. Sent twice, it is still one item.

        Raises:
            KafkaUnavailable: Kafka did not acknowledge it.
        """
        await self._publisher.publish([replayed(letter)])


def replayed(letter: DeadLetter) -> Outgoing:
    """Return the message that a whole dead letter is sent again as: to its own topic, with its own key.

    An item of feedback.raw without an external id gets the one that it would have had, so that it is the same item
    however often it is sent.
    """
    original = letter.original
    value = original.value or b""
    if original.topic == FEEDBACK_RAW.name:
        value = _with_external_ids(letter, value)
    return Outgoing(original.topic, original.key, value)


def _with_external_ids(letter: DeadLetter, value: bytes) -> bytes:
    """Return a message of feedback.raw with an external id for each item; the refused item alone, where it is one."""
    try:
        message = read_json(value)
        items = _entries(message) if isinstance(message, dict) else []
        sent: Any
        if not items:
            sent = _with_external_id(letter, message, letter.index or 0)
        elif letter.index is None:
            sent = message | {"items": [_with_external_id(letter, item, index) for index, item in enumerate(items)]}
        else:  # the letter holds the whole envelope, which was shorter than the item; the other items were processed
            sent = _with_external_id(letter, items[letter.index], letter.index)
        return value if sent == message else json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, IndexError, RecursionError):
        return value  # as it came: it is refused again, with its reason


def _entries(message: Mapping[str, Any]) -> list[Any]:
    """Return the items of a message that is an envelope, or that is an item and holds others."""
    items = message.get("items")
    if not isinstance(items, list):
        return []
    try:
        return items if form_of(message) == "envelope" else []
    except ValueError:
        return items


def _with_external_id(letter: DeadLetter, item: Any, index: int) -> Any:
    if isinstance(item, dict) and item.get("external_id") is None:
        return item | {"external_id": generated_external_id(letter.original, index)}
    return item
