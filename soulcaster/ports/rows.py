"""Rows of a table, from whatever file or system they are read."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One row: named values, or the reason why it cannot be read.

    `number` counts rows from 1, without a header; `line` is the line of the file where the row ends. A row with a
    `problem` has no values. `doubt` says what a person should look at in a row that was read.
    """

    number: int
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    doubt: str | None = None
