"""What all rows of a table say together: the order of its days, ids that repeat, and guesses that do not fit."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from soulcaster.ports.rows import Row
from soulcaster.services.import_columns import Columns
from soulcaster.services.import_ids import SharedIds
from soulcaster.services.import_times import ColumnTimes, TimeRules


@dataclass(frozen=True, slots=True)
class Survey:
    """Columns that fit, how their times are read, and the ids that rows share; `notes` are words for the person."""

    columns: Columns
    times: ColumnTimes = field(default_factory=ColumnTimes)
    shared: SharedIds = field(default_factory=SharedIds)
    notes: tuple[str, ...] = ()


def survey(rows: Iterable[Row], columns: Columns, rules: TimeRules) -> Survey:
    """Return what all rows say; `rows` can be iterated more than once.

    A column that was guessed for the time or the id is only taken where it fits every row, and told if not.
    """
    times, shared = ColumnTimes(rules), SharedIds()
    if columns.time is None and columns.id is None:
        return Survey(columns, times)
    for row in rows:
        if columns.time is not None:
            times.see([row.values.get(columns.time)])
        if columns.id is not None and row.problem is None:
            shared.see(row, columns.id)
    notes = []
    if "time" in columns.guessed and (refusal := _first_refusal(rows, columns.time, times)) is not None:
        notes.append(f"The column {columns.time!r} is not taken for the time: {refusal}. --time-column takes it.")
        columns = replace(columns, time=None)
    if "id" in columns.guessed and shared.rows:
        notes.append(
            f"The column {columns.id!r} is not taken for the id, because rows share one. --id-column takes it."
        )
        columns, shared = replace(columns, id=None), SharedIds()
    return Survey(columns, times, shared, tuple(notes))


def _first_refusal(rows: Iterable[Row], column: str | None, times: ColumnTimes) -> str | None:
    for row in rows:
        value = None if column is None else row.values.get(column)
        if value not in (None, ""):
            try:
                times.read(value)
            except ValueError as error:
                return str(error)
    return None
