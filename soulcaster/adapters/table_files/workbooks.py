"""Reading the rows of .xlsx files."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from soulcaster.adapters.table_files.records import Record
from soulcaster.adapters.table_files.workbook_size import check_size
from soulcaster.errors import BadInput


def workbook_records(path: Path) -> tuple[Sequence[Record], Sequence[str]]:
    """Return the records of the first sheet that has some, and the names of the other sheets that have.

    Raises:
        BadInput: it is no workbook, is too large, or all its sheets are empty.
    """
    check_size(path)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(str(path)) as workbook:
            sheets = [
                (name, list(_records(workbook.get_sheet_by_name(name).iter_rows()))) for name in workbook.sheet_names
            ]
    except (CalamineError, OSError) as error:
        raise BadInput(f"{path} cannot be read as a workbook: {error}.") from error
    (_, first), *others = [(name, found) for name, found in sheets if found] or [("", [])]
    if not first:
        raise BadInput(f"{path} has no rows.")
    return first, [name for name, _ in others]


def _records(rows: Iterator[Sequence[Any]]) -> Iterator[Record]:
    for number, cells in enumerate(rows, 1):
        fields = tuple(map(_value, cells))
        if any(field not in ("", None) for field in fields):
            yield Record(number, number, fields)


def _value(cell: Any) -> Any:
    """Return a cell as JSON has it; whole numbers without the fraction that Excel gives all numbers."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return cell
