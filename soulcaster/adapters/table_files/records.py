"""The records of delimited text: what `csv` reads strictly, and what becomes of the lines that it cannot read.

`csv` itself accepts a quote that is not closed, and with it swallows the rows that follow. Here such a line is told
alone, and the next line begins a record again.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_RECORD_CHARS = 1024 * 1024
"""A longer record means a quote that is not closed; an item may have a quarter of it."""

MOST_UNCLOSED = 1000
"""Lines with a quote that is not closed; each costs reading on to the end of a possible record."""

NO_DELIMITER = "\uffff"
"""Stands for the delimiter of a table of one column: Unicode says that this is no character."""

UNCLOSED = "has a quote that is not closed; the row after it is read as a row of its own"
TOO_LONG = f"has a field of more than {2 * MOST_RECORD_CHARS:,} characters"
TOO_MANY_UNCLOSED = "so many quotes are not closed that the quotes of this file mean something else"


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""How fields are parted, and whether a backslash before a quote keeps it inside the field (`\"`, not `""`)."""

    delimiter: str | None
    backslash: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """The fields between two lines of the file, or why there are none.

    `mended`: it is not proper CSV, and was read as it must be meant.
    """

    first_line: int
    last_line: int
    fields: tuple[Any, ...] = ()
    problem: str | None = None
    mended: bool = False
    doubt: str | None = None


def records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Yield the records of lines, which end as they end in the file; blank lines between records are left out.

    Raises:
        ValueError: more than `MOST_UNCLOSED` quotes are not closed.
    """
    csv.field_size_limit(2 * MOST_RECORD_CHARS)
    source = _Lines(lines, dialect)
    reader = csv.reader(source, strict=True, **_format(dialect))
    unclosed = 0
    while True:
        source.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            record = _of_one_line(source.give_back(), source.number, dialect)
            unclosed += record.problem is UNCLOSED
            if unclosed > MOST_UNCLOSED:
                raise ValueError(TOO_MANY_UNCLOSED) from None
            yield record
            continue
        if fields:  # a blank line has none
            yield Record(source.first, source.number, tuple(fields), doubt=_doubt(source, len(fields), dialect))


def _format(dialect: Dialect) -> dict[str, Any]:
    return {"delimiter": dialect.delimiter or NO_DELIMITER, "escapechar": "\\" if dialect.backslash else None}


class _Lines:
    """Lines for `csv`, which remembers those of the record that is being read and takes all but its first back."""

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._lines = iter(lines)
        self._back: deque[str] = deque()
        self._plain_backslash = (
            re.compile(rf'\\(?!["\\{re.escape(dialect.delimiter or NO_DELIMITER)}])') if dialect.backslash else None
        )
        self.number = 0
        self.taken: list[str] = []
        self._chars = 0

    @property
    def first(self) -> int:
        return self.number - len(self.taken) + 1

    def begin(self) -> None:
        """Note that a record begins with the next line."""
        self.taken = []
        self._chars = 0

    def give_back(self) -> str:
        """Return the record's first line; the lines after it will be read again."""
        first, *others = self.taken
        self._back.extendleft(reversed(others))
        self.number -= len(others)
        self.taken = [first]
        return first

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._chars > MOST_RECORD_CHARS:
            raise csv.Error("a record without end")
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        self.taken.append(line)
        self._chars += len(line)
        return line if self._plain_backslash is None else self._plain_backslash.sub(r"\\\\", line)


def _of_one_line(line: str, number: int, dialect: Dialect) -> Record:
    """Return the record of a line that `csv` refuses: with its quotes as letters, where they close in the same line."""
    delimiter = dialect.delimiter or NO_DELIMITER
    try:
        next(csv.reader([line], strict=True, **_format(dialect)))
    except (csv.Error, StopIteration) as error:
        if "unexpected end" in str(error):
            return Record(number, number, problem=UNCLOSED)
    try:
        fields = next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
    except csv.Error:
        return Record(number, number, problem=TOO_LONG)
    return Record(number, number, tuple(map(_unquoted, fields)), mended=True)


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    return inner if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner else field


def _doubt(source: _Lines, width: int, dialect: Dialect) -> str | None:
    """Return a word on a record over several lines of which each looks like a record of its own."""
    if len(source.taken) < 2 or width < 3 or dialect.delimiter is None:
        return None
    if any(line.count(dialect.delimiter) != width - 1 for line in source.taken):
        return None
    return (
        f"a quote opens in line {source.first} and closes in line {source.number}, and each line between looks like a "
        "row of its own: is it one row?"
    )
