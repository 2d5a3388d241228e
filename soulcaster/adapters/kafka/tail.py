"""The records of a topic as JSON lines."""

import base64
import json
import math
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import FETCH_WAIT_MS
from soulcaster.adapters.kafka.consumers import standalone_consumer
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.errors import NotFound


async def tail_lines(
    kafka: KafkaAccess, topic: str, *, from_beginning: bool, limit: int | None, follow: bool
) -> AsyncGenerator[str, None]:
    """Yield a topic's records as JSON lines: with `from_beginning` those that exist, with `follow` those that come.

    At most `limit` lines. No consumer group is joined and nothing is committed, so nobody else notices. Partitions are
    read side by side; only within one is there an order.

    Raises:
        NotFound: there is no such topic.
        KafkaUnavailable: no broker answers.
    """
    async with offsets_of(kafka) as offsets:
        spans = await offsets.spans([topic])
        known = await offsets.topics()
    if not spans:
        raise NotFound(f"There is no topic {topic!r}; there are: {', '.join(sorted(known)) or 'none yet'}.")
    starts = {tp: span.first if from_beginning else span.end for tp, span in spans.items()}
    if not follow and all(starts[tp] == span.end for tp, span in spans.items()):
        return
    async with standalone_consumer(kafka) as consumer:
        consumer.assign(list(spans))
        for tp, start in starts.items():
            consumer.seek(tp, start)
        count = 0
        while limit is None or count < limit:
            unread = [tp for tp, span in spans.items() if await consumer.position(tp) < span.end]
            if not follow and not unread:
                return
            batch = await consumer.getmany(*(unread if not follow else ()), timeout_ms=FETCH_WAIT_MS)
            for tp, records in batch.items():
                for record in records:
                    if (limit is not None and count >= limit) or (not follow and record.offset >= spans[tp].end):
                        break
                    count += 1
                    yield json_line(record)


def json_line(record: ConsumerRecord) -> str:
    """Return a record as one line of JSON."""
    shown: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
        **_text("key", record.key),
        "headers": [{"name": name, **_text("value", value)} for name, value in record.headers],
        **_json("value", record.value),
    }
    text = json.dumps(shown, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half an emoji: as an escape, which is how it came
        text = json.dumps(shown)
    return text + "\n"


def _text(name: str, value: bytes | None) -> dict[str, Any]:
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return _base64(name, value or b"")


def _json(name: str, value: bytes | None) -> dict[str, Any]:
    try:
        return {
            name: None if value is None else json.loads(value.decode(), parse_float=_finite, parse_constant=_finite)
        }
    except (ValueError, RecursionError):
        return _base64(name, value or b"")


def _finite(number: str) -> float:
    """Return a number that JSON can say; `1e999` would be printed as Infinity, which no JSON has."""
    as_float = float(number)
    if not math.isfinite(as_float):
        raise ValueError(number)
    return as_float


def _base64(name: str, value: bytes) -> dict[str, Any]:
    return {f"{name}_base64": base64.b64encode(value).decode()}
