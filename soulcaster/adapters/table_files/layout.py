"""Which row of a table holds the names of its columns, and which rows around it are no rows of the table."""

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from soulcaster.adapters.table_files.records import Record
from soulcaster.errors import BadInput

MOST_BANNER_ROWS = 30
"""The names stand in one of this many first rows, or --header-row says where."""

_NARROWER = 0.6
"""How much a row agrees that has some fields less than the names: programs leave out empty fields at a row's end."""

_SURE = 2
"""A row with so many names that only headers have is the header."""

_UNKNOWN, _BANNER = 0.8, 0.7
"""What rows that agree are worth where no name is known, and where lines before the names are left out."""

_VALUE = re.compile(r"\d[\d\s.,:/TZ+-]*")
_SUBHEADERS = frozenset({"response", "open-ended response", "other (please specify)"})
_SURVEY_COLUMNS = frozenset({"respondent id", "collector id", "respondent_id", "collector_id"})
_QUALTRICS = '{"ImportId"'


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of columns, the index of the first record after them, and words on the records that are left out."""

    columns: tuple[str, ...]
    rows_from: int
    header_line: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, order=True, slots=True)
class Agreement:
    """How well a table's first records fit one header; the greater, the better."""

    worth: float
    """The part of the rows that has as many fields as names, less where other things speak against it."""
    is_known: bool
    """Whether a name is one that only headers have."""
    width: int
    """How many names there are."""
    part: float
    skipped: int
    """How many records before the header are left out."""
    is_plain: bool
    """Whether the names are several, and none is the rest of a sentence."""


def agreement(head: Sequence[Record], names: Set[str]) -> Agreement:
    """Return how well the records of a table's beginning fit the one that seems to be its header."""
    at = header_index(head, names)
    header, after = head[at], head[at + 1 :]
    width = _width(header.fields)
    if after:
        part = sum(_fits(record, header, width) for record in after) / len(after)
    else:
        part = 1.0 if at == 0 and header.problem is None and not header.mended else 0.0
    known = _known(header, names) > 0
    worth = part * (1 if known else _UNKNOWN) * (_BANNER if at else 1)
    plain = len(header.fields) > 1 and all(str(field) and not str(field)[0].isspace() for field in header.fields)
    return Agreement(worth, known, width, part, at, plain)


def _fits(record: Record, header: Record, width: int) -> float:
    if record.problem is not None or record.mended:
        return 0
    if len(record.fields) == len(header.fields) or _width(record.fields) == width:
        return 1
    return _NARROWER if 1 < len(record.fields) < len(header.fields) else 0


def header_index(head: Sequence[Record], names: Set[str]) -> int:
    """Return which of the first records holds the names: the one with known names, or the first that is no banner."""
    first = head[:MOST_BANNER_ROWS]
    sure = next((at for at, record in enumerate(first) if _known(record, names) >= _SURE), None)
    if sure is not None and not any(_known(record, names) for record in first[:sure]):
        return sure
    usual = _usual_width(head)
    for at, record in enumerate(first):
        if record.problem is not None or _width(record.fields) >= usual or _known(record, names):
            return at
        if _width(record.fields) > 1 and not _is_banner(record, usual):
            return at
    return 0


def layout(head: Sequence[Record], names: Set[str], header_line: int | None) -> Layout:
    """Return the layout of a table by its first records.

    Args:
        head: at least one record.
        names: names of columns in lower case, which make the row that has one the header.
        header_line: the line where the names begin, if a person says so.

    Raises:
        BadInput: no record begins there.
    """
    at = header_index(head, names) if header_line is None else _index_of_line(head, header_line)
    header = head[at]
    if header.problem is not None:
        raise BadInput(f"The names of the columns cannot be read: line {header.first_line} {header.problem}.")
    notes = []
    if at:
        lines = _lines(head[0].first_line, head[at - 1].last_line)
        notes.append(f"{lines} before the names of the columns {'is' if at == 1 else 'are'} left out.")
    below = _below_header(header, head[at + 1 :])
    if below:
        lines = _lines(below[0].first_line, below[-1].last_line)
        notes.append(
            f"{lines} below the names of the columns explain{'s' if len(below) == 1 else ''} them, and no row."
        )
    filled = max((_width(record.fields) for record in head[at + 1 :]), default=0)
    width = max(_width(header.fields), min(len(header.fields), filled))
    columns = unique_names(_whole_names(header.fields[:width], below))
    return Layout(columns, at + 1 + len(below), header.first_line, tuple(notes))


def unique_names(header: Sequence[Any]) -> tuple[str, ...]:
    """Return unique column names: "column 3" for a column without a name, a number after a repeated name."""
    taken: set[str] = set()
    repetitions: Counter[str] = Counter()
    names = []
    for number, given in enumerate(header, 1):
        base = str(given).strip() or f"column {number}"
        name = base
        while name in taken:
            repetitions[base] += 1
            name = f"{base} {repetitions[base] + 1}"
        taken.add(name)
        names.append(name)
    return tuple(names)


def _index_of_line(head: Sequence[Record], line: int) -> int:
    for at, record in enumerate(head):
        if record.first_line <= line <= record.last_line:
            return at
    raise BadInput(
        f"No row of the table's beginning is in line {line}; --header-row is the line of the columns' names."
    )


def _width(fields: Sequence[Any]) -> int:
    """Return the number of fields up to the last that holds something."""
    return next((at for at in range(len(fields), 0, -1) if str(fields[at - 1]).strip()), 0)


def _usual_width(head: Sequence[Record]) -> int:
    widths = Counter(_width(record.fields) for record in head if record.problem is None)
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _known(record: Record, names: Set[str]) -> int:
    return sum(str(field).strip().casefold() in names for field in record.fields)


def _is_banner(record: Record, usual: int) -> bool:
    """Return whether a record is a line such as `Period:,2026-11-01`, not names of fewer columns than the rows have."""
    filled = [str(field).strip() for field in record.fields if str(field).strip()]
    if 2 * len(filled) <= usual:
        return True
    return len(filled) < 3 and (filled[0].endswith(":") or _VALUE.fullmatch(filled[-1]) is not None)


def _below_header(header: Record, after: Sequence[Record]) -> Sequence[Record]:
    """Return the records right after the header that belong to it: Qualtrics writes two, SurveyMonkey writes one."""
    for at, record in enumerate(after[:3]):
        filled = [str(field) for field in record.fields if field]
        if filled and all(field.startswith(_QUALTRICS) for field in filled):
            return after[: at + 1]
    if not after:
        return ()
    first = after[0].fields
    below = {str(field).strip().casefold() for field in first} - {""}
    known = {str(name).strip().casefold() for name in header.fields} & _SURVEY_COLUMNS or below & _SUBHEADERS
    return after[:1] if known and below and not any(str(field).strip() for field in first[:2]) else ()


def _whole_names(header: Sequence[Any], below: Sequence[Record]) -> list[Any]:
    """Return the names; an answer's column without a name has that of its question and its own from below."""
    if len(below) != 1:
        return list(header)
    own = below[0].fields
    names: list[Any] = []
    question = ""
    for at, name in enumerate(header):
        question = str(name).strip() or question
        answer = str(own[at]).strip() if at < len(own) else ""
        names.append(name if str(name).strip() or not answer else f"{question}: {answer}")
    return names


def _lines(first: int, last: int) -> str:
    return f"Line {first}" if first == last else f"Lines {first} to {last}"
