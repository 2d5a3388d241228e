"""Rows of one file with the same id: which they are, and what becomes of them."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from soulcaster.ports.rows import Row
from soulcaster.services.import_columns import Columns

EqualIds = Literal["last", "join", "number"]
"""The last row of an id counts; or they are one item with all texts; or each is an item, by a number after the id."""

_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
"""How a spreadsheet shows a number that is too long for it."""

_ROUNDED = re.compile(r"\d{15}0{2,}")
"""How it keeps one: it has 15 digits for a number."""


def id_of(row: Row, column: str | None) -> str | None:
    """Return a row's id as text; None if it has none."""
    value = None if column is None else row.values.get(column)
    return None if value is None or value == "" else str(value)


@dataclass(slots=True)
class SharedIds:
    """The ids that more than one row has."""

    shortened: str | None = None
    """An id that a spreadsheet has shortened, if there is one; longer ids may have become equal by it."""
    _first: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    _repeated: dict[str, list[int]] = field(default_factory=dict)
    _differing: set[str] = field(default_factory=set)

    @property
    def repeated(self) -> Mapping[str, Sequence[int]]:
        """Return the ids of several rows, each with the numbers of its rows in their order."""
        return self._repeated

    @property
    def rows(self) -> Mapping[str, Sequence[int]]:
        """Return those of the repeated ids whose rows are not all equal: of equal rows nothing is lost."""
        return {own: numbers for own, numbers in self._repeated.items() if own in self._differing}

    def see(self, row: Row, column: str) -> None:
        """Note a row's id."""
        own = id_of(row, column)
        if own is None:
            return
        if self.shortened is None and _SHORTENED.fullmatch(own):
            self.shortened = own
        key, content = _digest(own), _digest(json.dumps(row.values, sort_keys=True, default=str))
        if key not in self._first:
            self._first[key] = (row.number, content)
            return
        number, first_content = self._first[key]
        self._repeated.setdefault(own, [number]).append(row.number)
        if content != first_content:
            self._differing.add(own)
            if self.shortened is None and _ROUNDED.fullmatch(own):
                self.shortened = own

    def has(self, own: str) -> bool:
        """Return whether a row has this id."""
        return _digest(own) in self._first


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def settled(rows: Iterable[Row], columns: Columns, shared: SharedIds, how: EqualIds) -> Iterator[Row]:
    """Yield rows as they are to be imported: those of one id joined or numbered, if that is how."""
    if columns.id is None or how == "last" or not shared.rows:
        yield from rows
    elif how == "number":
        yield from _numbered(rows, columns.id, shared)
    else:
        yield from _joined(rows, columns, shared.repeated)


def _numbered(rows: Iterable[Row], column: str, shared: SharedIds) -> Iterator[Row]:
    last: dict[str, int] = {}
    differing = shared.rows
    for row in rows:
        own = id_of(row, column)
        if own is not None and own in differing:
            number = last.get(own, 0) + 1
            while number > 1 and shared.has(f"{own} ({number})"):
                number += 1
            last[own] = number
            if number > 1:
                row = replace(row, values={**row.values, column: f"{own} ({number})"})
        yield row


def _joined(rows: Iterable[Row], columns: Columns, repeated: Mapping[str, Sequence[int]]) -> Iterator[Row]:
    """Yield the rows of one id as one, where its last row stands."""
    waiting: dict[str, list[Row]] = {}
    for row in rows:
        own = id_of(row, columns.id)
        if own is None or own not in repeated:
            yield row
            continue
        together = waiting.setdefault(own, [])
        together.append(row)
        if len(together) == len(repeated[own]):
            yield _one_row(waiting.pop(own), columns)


def _one_row(rows: list[Row], columns: Columns) -> Row:
    """Return the first row with the texts of all; of a later row without text its title is the text."""
    first, *others = rows
    name = columns.text or columns.title
    if name is None:
        return first
    texts = [first.values.get(name)]
    for row in others:
        text = row.values.get(name)
        texts.append(row.values.get(columns.title) if text in (None, "") and columns.title is not None else text)
    for text in texts:
        if text is not None and not isinstance(text, str | int | float):
            return replace(first, values={**first.values, name: text})  # it will be refused, and told
    joined = "\n\n".join(dict.fromkeys(str(text).strip() for text in texts if text not in (None, "")))
    return replace(first, values={**first.values, name: joined})
