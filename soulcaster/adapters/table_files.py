"""Reading the rows of a .csv, .tsv or .jsonl file one by one, whichever program wrote it.

Nothing here knows about Kafka or feedback.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row

DELIMITERS = ",;\t|"
MAX_FIELD_BYTES = 16 * 1024 * 1024
"""A longer field means a quote that is not closed."""

HEAD_ROWS = 100
"""The names in this many first objects of a .jsonl file are its columns."""

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TableFile:
    """An open file: its columns (for .jsonl, those of its first objects), its rows, and how far it is read."""

    columns: tuple[str, ...]
    rows: Iterator[Row]
    size: int
    """Bytes."""
    position: Callable[[], int]
    """Returns the number of bytes read so far."""


@contextmanager
def open_table(path: Path) -> Iterator[TableFile]:
    """Open a file and check that all of it can be decoded, so that no file is imported in part.

    Raises:
        BadInput: the file does not exist, is empty, is of an unknown kind, is not UTF-8 or UTF-16, or has a quote that
            is not closed (which may appear only while rows are read).
    """
    kind = path.suffix.lower()
    if kind not in {".csv", ".tsv", ".jsonl", ".ndjson"}:
        raise BadInput(f"{path} is of a kind that cannot be imported: give a .csv, .tsv or .jsonl file.")
    with _open(path) as raw:
        encoding = _encoding(raw, path)
        text = io.TextIOWrapper(raw, encoding=encoding, newline="")
        if kind in {".csv", ".tsv"}:
            columns, rows = _read_csv(text, path, "\t" if kind == ".tsv" else None)
        else:
            columns, rows = _read_jsonl(text, path)
        yield TableFile(columns, rows, path.stat().st_size, raw.tell)


def _open(path: Path) -> BinaryIO:
    if not path.exists():
        raise BadInput(f"There is no file {path}.")
    if not path.is_file():
        raise BadInput(f"{path} is not a file.")
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


def _encoding(raw: BinaryIO, path: Path) -> str:
    """Return the encoding that decodes all of the file; leave the file at its start."""
    start = raw.read(4)
    if not start:
        raise BadInput(f"{path} is empty.")
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
    raw.seek(0)
    read = 0
    try:
        while chunk := raw.read(_CHUNK_BYTES):
            decoder.decode(chunk)
            read += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 (near byte {read + error.start:,}). If it was made on Windows, try: "
            f"iconv -f WINDOWS-1252 -t UTF-8 '{path}' > utf8{path.suffix}"
        ) from error
    raw.seek(0)
    return encoding


def _read_csv(text: io.TextIOBase, path: Path, delimiter: str | None) -> tuple[tuple[str, ...], Iterator[Row]]:
    csv.field_size_limit(MAX_FIELD_BYTES)
    lines = iter(text)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise BadInput(f"{path} has no rows.")
    source = _Lines(chain([first], lines))
    reader = csv.reader(source, delimiter=delimiter or _delimiter(first))
    try:
        columns = _names(next(reader))
    except csv.Error as error:
        raise BadInput(f"{path} has no readable header: {error}.") from error

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for values in reader:
                if values:  # a blank line has none
                    number += 1
                    yield _csv_row(Row(number, reader.line_num), columns, values, source)
        except csv.Error as error:
            raise BadInput(
                f"{path} cannot be read after row {number} (line {reader.line_num}): {error}; is a quote not closed?"
            ) from error

    return columns, rows()


def _csv_row(row: Row, columns: tuple[str, ...], values: list[str], source: "_Lines") -> Row:
    if source.ended:
        return replace(row, problem="has a quote that is not closed, so the rest of the file seems to belong to it")
    if len(values) > len(columns):
        return replace(row, problem=f"has {len(values)} fields, the header has {len(columns)}")
    return replace(row, values=dict(zip(columns, values, strict=False)))


class _Lines:
    """The lines of a .csv. If they end inside a row, a quote is still open, which `csv` itself accepts."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        for line in self._lines:
            return line
        self.ended = True
        raise StopIteration


def _delimiter(header: str) -> str:
    """Return the delimiter that splits the header into the most columns; the comma if none does."""
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))


def _names(header: Sequence[str]) -> tuple[str, ...]:
    """Return unique column names: "column 3" for a column without a name, a number after a repeated name."""
    names: list[str] = []
    for number, given in enumerate(header, 1):
        name = base = given.strip() or f"column {number}"
        repetition = 1
        while name in names:
            repetition += 1
            name = f"{base} {repetition}"
        names.append(name)
    return tuple(names)


def _read_jsonl(text: io.TextIOBase, path: Path) -> tuple[tuple[str, ...], Iterator[Row]]:
    rows = _json_rows(text)
    head = list(islice(rows, HEAD_ROWS))
    if not head:
        raise BadInput(f"{path} has no rows.")
    columns = tuple(dict.fromkeys(name for row in head for name in row.values))
    if not columns:
        raise BadInput(f"{path} is not JSON lines: its line {head[0].line} {head[0].problem or 'is empty'}.")
    return columns, chain(head, rows)


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    number = 0
    for line_number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        number += 1
        try:
            value = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            yield Row(number, line_number, problem=f"is not JSON: {error}")
            continue
        if isinstance(value, dict):
            yield Row(number, line_number, value)
        else:
            yield Row(number, line_number, problem="is not a JSON object")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
