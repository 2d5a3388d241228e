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
from soulcaster.services.import_ids import EqualIds, settled
from soulcaster.services.import_survey import Survey
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
    """How many rows were posted, which were left out, and which should be looked at."""

    posted: int
    refused: tuple[RefusedRow, ...]
    doubted: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What an import would do: the first items, as JSON that would be posted, and what it would return."""

    first: tuple[dict[str, Any], ...]
    imported: Imported


async def import_rows(
    rows: Iterable[Row],
    found: Survey,
    *,
    project_id: str,
    source: str,
    publisher: KeyedPublisher,
    equal_ids: EqualIds = "last",
    report: Callable[[int], None] = lambda posted: None,
) -> Imported:
    """Post rows to feedback.raw, in their order; `report` gets the number of rows posted so far, block by block.

    `found` is the survey of the same rows; `equal_ids` says what becomes of rows with one id.

    Raises:
        BadInput: the rows cannot be read to their end.
        KafkaUnavailable: some rows were not acknowledged; posting all of them again is harmless.
    """
    posts = FeedbackPosts(publisher)
    posted = 0
    refused: list[RefusedRow] = []
    doubted: list[Row] = []
    rows = settled(rows, found.columns, found.shared, equal_ids)
    posting: asyncio.Task[None] | None = None
    try:
        while block := list(islice(rows, BLOCK_ROWS)):
            ready, refused_now = _ready_rows(block, found, project_id=project_id, source=source)
            refused += refused_now
            doubted += [row for row in block if row.doubt is not None]
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
    return Imported(posted, tuple(refused), tuple(doubted))


def look_at_rows(rows: Iterable[Row], found: Survey, *, source: str, first: int, equal_ids: EqualIds = "last") -> Look:
    """Return what importing the rows would do, and the first items; nothing is posted."""
    posted = 0
    refused: list[RefusedRow] = []
    doubted: list[Row] = []
    items: list[dict[str, Any]] = []
    rows = settled(rows, found.columns, found.shared, equal_ids)
    while block := list(islice(rows, BLOCK_ROWS)):
        ready, refused_now = _ready_rows(block, found, project_id=_NO_PROJECT, source=source)
        items += [json.loads(one.value) for one in ready[: first - len(items)]]
        posted += len(ready)
        refused += refused_now
        doubted += [row for row in block if row.doubt is not None]
    return Look(tuple(items), Imported(posted, tuple(refused), tuple(doubted)))


_NO_PROJECT = "look"


def _ready_rows(
    rows: Sequence[Row], found: Survey, *, project_id: str, source: str
) -> tuple[list[PostableItem], list[RefusedRow]]:
    ready, refused = [], []
    at = datetime.now(UTC)
    for row in rows:
        try:
            ready.append(ready_row(row, found.columns, times=found.times, project_id=project_id, source=source, at=at))
        except ValueError as error:
            refused.append(RefusedRow(row, str(error)))
    return ready, refused


def ready_row(
    row: Row, columns: Columns, *, project_id: str, source: str, at: datetime, times: ColumnTimes | None = None
) -> PostableItem:
    """Return a row, received at `at`, as an item that can be posted; `times` knows the column of times.

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
        item["created_at"] = (times or ColumnTimes()).read(value).astimezone(UTC).isoformat()
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
