"""Feedback from files into Kafka, and items and clusters out of the read model: `import`, `export`, `clusters`."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pydantic_core
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.redis.read_model import RedisReadModel
from soulcaster.adapters.table_files import Row, open_table
from soulcaster.domain.text.normalize import well_formed
from soulcaster.errors import BadInput, KafkaUnavailable
from soulcaster.ports.clusters import ClusterView
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.projects import Stats
from soulcaster.processes.settings import Settings
from soulcaster.services.posting import Ready, make_ready, post
from soulcaster.services.projects import find_or_create_project, known_project
from soulcaster.wire.fields import SOURCE_PATTERN

TEXT_COLUMNS = (
    "text", "body", "message", "description", "content", "comment", "feedback", "review", "note", "question", "tweet",
)  # fmt: skip
"""Where the text is looked for, in this order, when nobody says."""

TITLE_COLUMNS = ("title", "subject", "headline")

FIELD_COLUMNS = ("author", "url", "github_repo_url")
"""Columns that are fields of an item by their names; every other one goes to its metadata."""

IN_FLIGHT_ROWS = 2000
"""Rows read while the ones before them are on their way to Kafka."""

REFUSALS_SHOWN = 20
PAGE_ITEMS = 1000


# ---- import ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; None leaves it to `chosen`. Columns in `skip` are not sent at all."""

    text: str | None = None
    id: str | None = None
    title: str | None = None
    time: str | None = None
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was left out, and why."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's rows."""

    posted: int
    refused: tuple[Refused, ...]


def chosen(columns: Columns, present: Sequence[str]) -> Columns:
    """Return the columns with what was left open filled in from those present; a .csv with one column has its text.

    Raises:
        BadInput: a column that was named is not there, or none looks like the text.
    """
    listed = ", ".join(present) or "none"
    for name in (columns.text, columns.id, columns.title, columns.time):
        if name is not None and name not in present:
            raise BadInput(f"There is no column {name!r}; the columns are: {listed}.")
    named = {columns.id, columns.title, columns.time, *columns.skip}
    free = [name for name in present if name not in named]
    text = columns.text or _first(TEXT_COLUMNS, free) or (free[0] if len(free) == 1 else None)
    title = columns.title or _first(TITLE_COLUMNS, [name for name in free if name != text])
    if text is None and title is None:
        raise BadInput(f"No column looks like the text; name it with --text-column. The columns are: {listed}.")
    return Columns(text, columns.id, title, columns.time, columns.skip)


def _first(wanted: Sequence[str], present: Sequence[str]) -> str | None:
    by_name = {name.casefold(): name for name in reversed(present)}
    return next((by_name[name] for name in wanted if name in by_name), None)


def raw_feedback(row: Row, columns: Columns, *, project_id: str, source: str, at: datetime) -> Ready:
    """Return a row, read at that time, as it can be posted.

    Raises:
        ValueError: it cannot be feedback; the message is the reason.
    """
    if row.problem is not None:
        raise ValueError(row.problem)
    values = {name: value for name, value in row.values.items() if name not in columns.skip}
    item: dict[str, Any] = {"project_id": project_id, "source": source, "external_id": _row_id(row, values)}
    for name, field in ((columns.text, "body"), (columns.title, "title"), *((f, f) for f in FIELD_COLUMNS)):
        if name is not None and (value := values.pop(name, None)) not in (None, ""):
            item[field] = _as_text(value, name)
    if columns.id is not None and (value := values.pop(columns.id, None)) not in (None, ""):
        item["external_id"] = _as_text(value, columns.id)
    if columns.time is not None and (value := values.pop(columns.time, None)) not in (None, ""):
        item["created_at"] = parse_time(value).isoformat()
    item["metadata"] = {name: value for name, value in values.items() if value not in (None, "")}
    if not (item.get("body") or item.get("title")):
        raise ValueError("has no text")
    as_json = well_formed(json.dumps(item, ensure_ascii=False, allow_nan=False)).encode()
    # What normalize would send to the dead letters is told here, where somebody is looking.
    ready, refused = make_ready([as_json], at)
    if refused:
        raise ValueError(refused[0].reason)
    return ready[0]


def _row_id(row: Row, values: dict[str, Any]) -> str:
    """Return the id of a row that brings none: its content and its place, so that the same file gives the same ids."""
    content = json.dumps(values, sort_keys=True).encode()
    return f"row:{row.number}:{hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _as_text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is no text")
    return str(value)


_ZONE = re.compile(r"\s+(?:([+-]\d{2}):?(\d{2})|UTC|GMT|Z)$")
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def parse_time(value: Any) -> datetime:
    """Return a time: ISO 8601 (a space before the zone is fine), e-mail's format, or epoch seconds, ms or us.

    Without a zone it is UTC; a date alone is its midnight.

    Raises:
        ValueError: it is none of these, or not between 1900 and 2200.
    """
    wrong = ValueError(f"{str(value)[:60]!r} is no time: give ISO 8601 (2026-11-21T13:05:00Z) or seconds since 1970")
    text = str(value).strip()
    try:
        found = _parsed(text)
    except (ValueError, OverflowError, OSError) as error:
        raise wrong from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if not _EARLIEST < found < _LATEST:
        raise wrong
    return found


def _parsed(text: str) -> datetime:
    if re.fullmatch(r"(19|20)\d{6}", text):
        return datetime.fromisoformat(text)  # 20261121 is a day, not a second of 1970
    if re.fullmatch(r"-?\d{1,19}(\.\d{1,9})?", text):
        number = float(text)
        while abs(number) > 1e10:  # milliseconds, microseconds, nanoseconds
            number /= 1000
        return datetime.fromtimestamp(number, UTC)
    if text[:3].isalpha():
        return _wordy(text)
    zone = _ZONE.search(text)
    if zone is not None:
        text = text[: zone.start()] + (f"{zone[1]}:{zone[2]}" if zone[1] else "+00:00")
    return datetime.fromisoformat(text.replace("/", "-"))


def _wordy(text: str) -> datetime:
    """Read `Tue, 31 Oct 2017 22:10:47 +0000`, and `Tue Oct 31 22:10:47 +0000 2017` with or without its zone."""
    for form in ("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return parsedate_to_datetime(text)


async def import_file(
    path: Path,
    columns: Columns,
    *,
    project_id: str,
    source: str,
    publisher: KeyedPublisher,
    report: Callable[[int, int], None] = lambda read, posted: None,
) -> Imported:
    """Post a file's rows to feedback.raw; `report(bytes read, rows posted)` is called after every step.

    Of two rows with one id the later stays the later.

    Raises:
        BadInput: the file cannot be read.
        KafkaUnavailable: some rows were not acknowledged; posting all again is harmless.
    """
    posted = 0
    refused: list[Refused] = []
    with open_table(path) as table:
        columns = chosen(columns, table.columns)
        on_its_way: asyncio.Task[None] | None = None
        try:
            while rows := list(islice(table.rows, IN_FLIGHT_ROWS)):
                items = []
                at = datetime.now(UTC)
                for row in rows:
                    try:
                        items.append(raw_feedback(row, columns, project_id=project_id, source=source, at=at))
                    except ValueError as error:
                        refused.append(Refused(row, str(error)))
                if on_its_way is not None:
                    await on_its_way
                    report(table.position(), posted)
                on_its_way = asyncio.create_task(post(publisher, items))
                await asyncio.sleep(0)  # let it begin before the next rows are read
                posted += len(items)
            if on_its_way is not None:
                await on_its_way
        finally:
            if on_its_way is not None and not on_its_way.done():
                on_its_way.cancel()
                await asyncio.gather(on_its_way, return_exceptions=True)
        report(table.position(), posted)
    return Imported(posted, tuple(refused))


def source_word(source: str) -> str:
    """Return a source as messages want it.

    Raises:
        BadInput: it is not a short word.
    """
    if not re.fullmatch(SOURCE_PATTERN, source):
        raise BadInput(f"{source!r} is no source: give a word of up to 40 letters, digits, '_', '.', '-'.")
    return source.lower()


async def import_command(settings: Settings, path: Path, project: str, columns: Columns, source: str) -> int:
    """Import a file with a progress bar, tell how it went, and return how many rows were refused."""
    source = source_word(source)
    with open_table(path) as table:
        size = table.size
        chosen(columns, table.columns)  # what is wrong with the file or its columns is told before a project is made
    async with reading(settings) as read_model, KafkaPublisher(settings.kafka) as publisher:
        target = await find_or_create_project(publisher, read_model, project, at=datetime.now(UTC))
        with bar("Posting", "[green]{task.fields[count]:,} rows") as progress:
            task = progress.add_task("", total=size, count=0)
            done = 0

            def report(read_bytes: int, posted: int) -> None:
                nonlocal done
                done = posted
                progress.update(task, completed=read_bytes, count=posted)

            try:
                imported = await import_file(
                    path, columns, project_id=target.id, source=source, publisher=publisher, report=report
                )
            except KafkaUnavailable as error:
                raise KafkaUnavailable(
                    f"{error}. {_rows(done)} were posted; import the same file again, nothing is doubled."
                ) from error
    typer.echo(f"{_rows(imported.posted)} posted to project {target.name} ({target.id}).")
    for one in imported.refused[:REFUSALS_SHOWN]:
        typer.echo(f"row {one.row.number} (line {one.row.line}) left out: {one.reason}", err=True)
    if imported.refused:
        more = len(imported.refused) - REFUSALS_SHOWN
        rest = f", {more:,} of them not listed" if more > 0 else ""
        typer.echo(f"{_rows(len(imported.refused))} left out{rest}.", err=True)
    return len(imported.refused)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def bar(label: str, count: str, *, transient: bool = False) -> Progress:
    """Return a progress bar on stderr; `count` is the format of what stands at its end; a transient one is wiped."""
    return Progress(
        TextColumn(label),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(count),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
    )


# ---- export and clusters -----------------------------------------------------------------------------------------


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[RedisReadModel]:
    """Give the read model, and close it."""
    read_model = RedisReadModel(settings.redis_url)
    try:
        yield read_model
    finally:
        await read_model.close()


async def export_lines(settings: Settings, id_or_name: str) -> AsyncIterator[str]:
    """Yield a project's items as JSON lines, newest first; each that is there when it begins, exactly once.

    Items that arrive meanwhile push others to later pages, so what was seen is remembered.

    Raises:
        NotFound: there is no such project.
        RedisUnavailable: Redis does not answer.
    """
    async with reading(settings) as read_model:
        project = await known_project(read_model, id_or_name)
        after = None
        while True:
            page = await read_model.feedback.list(project.id, limit=PAGE_ITEMS, offset=0, after=after)
            for view in page.items:
                yield _line(view.item.id, view.item.external_id, view.cluster_id, view.item.title)
            after = page.next
            if after is None:
                return


def _line(item_id: str, external_id: str, cluster_id: str | None, title: str) -> str:
    line = {"id": item_id, "external_id": external_id, "cluster_id": cluster_id, "title": title}
    return json.dumps(line, ensure_ascii=False) + "\n"


async def cluster_rows(settings: Settings, id_or_name: str, limit: int | None) -> tuple[Stats, list[dict[str, Any]]]:
    """Return a project's figures, and its largest clusters (None: all) as JSON objects.

    Raises:
        NotFound: there is no such project.
        RedisUnavailable: Redis does not answer.
    """
    async with reading(settings) as read_model:
        project = await known_project(read_model, id_or_name)
        stats = await read_model.projects.stats(project.id)
        page = await read_model.clusters.list(project.id, limit=limit or max(stats.total_clusters, 1), offset=0)
    return stats, [_cluster(view) for view in page.items]


def _cluster(view: ClusterView) -> dict[str, Any]:
    return cast(dict[str, Any], pydantic_core.to_jsonable_python(view))
