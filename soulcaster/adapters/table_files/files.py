"""Opening the file of a table, whose rows can be read more than once."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from soulcaster.adapters.table_files.delimited import SAMPLE_LINES, Delimited, delimited
from soulcaster.adapters.table_files.encodings import encoding_of
from soulcaster.adapters.table_files.json_lines import json_rows
from soulcaster.adapters.table_files.layout import Layout, layout
from soulcaster.adapters.table_files.records import Record
from soulcaster.adapters.table_files.workbooks import workbook_records
from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row

_DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
_JSON = frozenset({".jsonl", ".ndjson"})
_WORKBOOK = frozenset({".xlsx"})
KINDS = _DELIMITED | _JSON | _WORKBOOK
"""The ends of the names of files that can be read."""

HEAD_ROWS = 100
"""The names in this many first objects of a .jsonl file are its columns."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a person says of a file, where it cannot be found out, and names that make a row the header.

    `header_row` is the line of the file (of a workbook: the row) that holds the names of the columns.
    """

    delimiter: str | None = None
    encoding: str | None = None
    header_row: int | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TableFile:
    """An open file: its columns (for .jsonl, those of its first objects), its rows, and how far it is read.

    Each time that `rows` is iterated it reads the file anew.
    """

    columns: tuple[str, ...]
    rows: Iterable[Row]
    size: int
    """Bytes."""
    position: Callable[[], int]
    """Returns the number of bytes read so far."""
    form: str = ""
    """How it is read, in words."""
    notes: tuple[str, ...] = ()
    """What a person should know of it."""


@contextmanager
def open_table(path: Path, reading: Reading | None = None) -> Iterator[TableFile]:
    """Open a file and check that all of it can be decoded, so that no file is imported in part.

    Raises:
        BadInput: the file does not exist, is empty, is of an unknown kind, cannot be decoded, has no names of columns,
            or has quotes that are no quotes (which may appear only while rows are read).
    """
    reading = reading or Reading()
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise BadInput(f"{path} is of a kind that cannot be imported: give a .csv, .tsv, .xlsx or .jsonl file.")
    with _open(path) as raw:
        size = path.stat().st_size
        if kind in _WORKBOOK:
            yield _workbook(path, reading, size)
            return
        encoding, note = encoding_of(raw, path, reading.encoding)
        lines = _Text(raw, encoding)
        table = _json_lines(path, lines, size) if kind in _JSON else _delimited(path, lines, reading, kind, size)
        form = f"Its text is in {encoding.removesuffix('-sig').upper()}. {table.form}".strip()
        yield replace(table, form=form, notes=((note,) if note else ()) + table.notes)


def _open(path: Path) -> BinaryIO:
    if not path.exists():
        raise BadInput(f"There is no file {path}.")
    if not path.is_file():
        raise BadInput(f"{path} is not a file.")
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


@dataclass(slots=True)
class _Text:
    """A file's lines with their ends, from its start each time."""

    raw: BinaryIO
    encoding: str

    def __iter__(self) -> Iterator[str]:
        self.raw.seek(0)
        text = io.TextIOWrapper(self.raw, encoding=self.encoding, newline="")
        try:
            yield from iter(text.readline, "")  # the text itself would be closed with this generator
        finally:
            if not self.raw.closed:
                text.detach()


def _workbook(path: Path, reading: Reading, size: int) -> TableFile:
    found, others = workbook_records(path)
    notes = (f"Only its first sheet is read, not: {', '.join(others)}.",) if others else ()
    table = _table(path, lambda: found, reading, size, lambda: size)
    return replace(table, notes=notes + table.notes)


def _delimited(path: Path, lines: _Text, reading: Reading, kind: str, size: int) -> TableFile:
    if reading.delimiter is not None and len(reading.delimiter) != 1:
        raise BadInput(f"{reading.delimiter!r} is no delimiter: give one character.")
    how = delimited(iter(lines), reading.delimiter or ("\t" if kind in {".tsv", ".tab"} else None), reading.names)
    table = _table(path, lambda: how.records(iter(lines)), reading, size, lines.raw.tell)
    return replace(table, form=f"{_words(how)} {table.form}")


def _words(how: Delimited) -> str:
    sign = how.dialect.delimiter
    words = "It has one column." if sign is None else f"Its fields are parted by {_SIGNS.get(sign, repr(sign))}."
    return words + (" A backslash before a quote keeps the quote in its field." if how.dialect.backslash else "")


_SIGNS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _table(
    path: Path,
    read: Callable[[], Iterable[Record]],
    reading: Reading,
    size: int,
    position: Callable[[], int],
) -> TableFile:
    head = list(islice(read(), SAMPLE_LINES))
    if not head:
        raise BadInput(f"{path} has no rows.")
    found = layout(head, reading.names, reading.header_row)
    form = f"The names of its columns ({len(found.columns):,}) are in line {found.header_line}."
    return TableFile(found.columns, _Rows(path, read, found), size, position, form, found.notes)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table with a header."""

    path: Path
    read: Callable[[], Iterable[Record]]
    layout: Layout

    def __iter__(self) -> Iterator[Row]:
        last = Record(0, 0)
        belongs_to: int | None = None
        try:
            for number, last in enumerate(islice(self.read(), self.layout.rows_from, None), 1):
                row = self._row(number, last)
                if last.problem is not None:
                    belongs_to = number
                elif len(last.fields) >= len(self.layout.columns):
                    belongs_to = None
                elif belongs_to is not None:
                    row = replace(
                        row, values={}, problem=f"seems to belong to row {belongs_to}, whose quote is not closed"
                    )
                yield row
        except ValueError as error:
            raise BadInput(f"{self.path} cannot be read after line {last.last_line}: {error}.") from error

    def _row(self, number: int, record: Record) -> Row:
        columns = self.layout.columns
        problem = self._problem(record)
        if problem is not None:
            return Row(number, record.last_line, problem=problem)
        return Row(number, record.last_line, dict(zip(columns, record.fields, strict=False)), doubt=record.doubt)

    def _problem(self, record: Record) -> str | None:
        columns = self.layout.columns
        if record.problem is not None:
            return record.problem
        if record.mended and len(record.fields) != len(columns):
            return "has a quote in the middle of a field, so its fields cannot be told apart"
        if any(field not in ("", None) for field in record.fields[len(columns) :]):
            return f"has {len(record.fields)} fields, the header has {len(columns)}"
        return "is the header again" if record.fields[: len(columns)] == columns else None


def _json_lines(path: Path, lines: _Text, size: int) -> TableFile:
    head = list(islice(json_rows(lines), HEAD_ROWS))
    if not head:
        raise BadInput(f"{path} has no rows.")
    columns = tuple(dict.fromkeys(name for row in head for name in row.values))
    if not columns:
        raise BadInput(f"{path} is not JSON lines: its line {head[0].line} {head[0].problem or 'is empty'}.")
    return TableFile(columns, _JsonRows(lines), size, lines.raw.tell)


@dataclass(frozen=True, slots=True)
class _JsonRows:
    lines: _Text

    def __iter__(self) -> Iterator[Row]:
        return json_rows(self.lines)
