"""Importing the rows of a table as feedback."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from soulcaster.domain.text.normalize import well_formed
from soulcaster.errors import BadInput
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.rows import Row
from soulcaster.services.import_columns import Columns
from soulcaster.services.import_times import ColumnTimes
from soulcaster.services.posting import FeedbackPosts, PostableItem, read_items
from soulcaster.wire.fields import SOURCE_PATTERN

FIELD_COLUMNS = ("author", "url", "github_repo_url")
"""Columns that become the item's field of the same name; columns without a role go to its metadata."""

BLOCK_ROWS = 2000
"""Rows that are posted together; while Kafka takes a block, the next one is read."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was left out, and why."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How many rows were posted, and which were left out."""

    posted: int
    refused: tuple[RefusedRow, ...]


async def import_rows(
    rows: Iterable[Row],
    columns: Columns,
    *,
    project_id: str,
    source: str,
    publisher: KeyedPublisher,
    report: Callable[[int], None] = lambda posted: None,
) -> Imported:
    """Post rows to feedback.raw, in their order; `report` gets the number of rows posted so far, block by block.

    Of two rows with one id the later one counts.

    Raises:
        BadInput: the rows cannot be read to their end.
        KafkaUnavailable: some rows were not acknowledged; posting all of them again is harmless.
    """
    posts = FeedbackPosts(publisher)
    posted = 0
    refused: list[RefusedRow] = []
    rows = iter(rows)
    posting: asyncio.Task[None] | None = None
    try:
        while block := list(islice(rows, BLOCK_ROWS)):
            ready, refused_now = _ready_rows(block, columns, project_id=project_id, source=source)
            refused += refused_now
            if posting is not None:
                await posting
                report(posted)
            posting = asyncio.create_task(posts.post(ready))
            await asyncio.sleep(0)  # let it begin before the next rows are read
            posted += len(ready)
        if posting is not None:
            await posting
    finally:
        if posting is not None and not posting.done():
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
    report(posted)
    return Imported(posted, tuple(refused))


def _ready_rows(
    rows: Sequence[Row], columns: Columns, *, project_id: str, source: str
) -> tuple[list[PostableItem], list[RefusedRow]]:
    ready, refused = [], []
    at = datetime.now(UTC)
    for row in rows:
        try:
            ready.append(ready_row(row, columns, project_id=project_id, source=source, at=at))
        except ValueError as error:
            refused.append(RefusedRow(row, str(error)))
    return ready, refused


def ready_row(row: Row, columns: Columns, *, project_id: str, source: str, at: datetime) -> PostableItem:
    """Return a row, received at `at`, as an item that can be posted.

    Raises:
        ValueError: it cannot be feedback; the message is the reason.
    """
    if row.problem is not None:
        raise ValueError(row.problem)
    values = {name: value for name, value in row.values.items() if name not in columns.skip}
    item: dict[str, Any] = {"project_id": project_id, "source": source, "external_id": _content_id(row, values)}
    for name, field in ((columns.text, "body"), (columns.title, "title"), *((f, f) for f in FIELD_COLUMNS)):
        if name is not None and (value := values.pop(name, None)) not in (None, ""):
            item[field] = _as_text(value, name)
    if columns.id is not None and (value := values.pop(columns.id, None)) not in (None, ""):
        item["external_id"] = _as_text(value, columns.id)
    if columns.time is not None and (value := values.pop(columns.time, None)) not in (None, ""):
        item["created_at"] = ColumnTimes().read(value).isoformat()
    item["metadata"] = {name: value for name, value in values.items() if value not in (None, "")}
    if not (item.get("body") or item.get("title")):
        raise ValueError("has no text")
    as_json = well_formed(json.dumps(item, ensure_ascii=False, allow_nan=False)).encode()
    # What normalize would dead-letter is refused here, while the person who imports is looking.
    ready, refused = read_items([as_json], at)
    if refused:
        raise ValueError(refused[0].reason)
    return ready[0]


def _content_id(row: Row, values: dict[str, Any]) -> str:
    """Return the external id of a row without one: from its number and content, so the same file gives the same ids."""
    content = json.dumps(values, sort_keys=True).encode()
    return f"row:{row.number}:{hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _as_text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not text")
    return str(value)


def check_source(source: str) -> str:
    """Return a source's name in lower case.

    Raises:
        BadInput: it is not a short word.
    """
    if not re.fullmatch(SOURCE_PATTERN, source):
        raise BadInput(f"{source!r} is not a source: give a word of up to 40 letters, digits, '_', '.', '-'.")
    return source.lower()
