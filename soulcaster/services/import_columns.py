"""Which column of a table holds what: the names that a person gave, and what column names suggest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from soulcaster.errors import BadInput

TEXT_COLUMNS = (
    "text", "body", "message", "description", "content", "comment", "feedback", "review", "note", "question", "tweet",
)  # fmt: skip
"""Names that suggest the text, the likeliest first."""

TITLE_COLUMNS = ("title", "subject", "headline")
"""Names that suggest the title, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that hold the text, id, title and time; None: not known yet, or no such column.

    Columns in `skip` are not imported at all.
    """

    text: str | None = None
    id: str | None = None
    title: str | None = None
    time: str | None = None
    skip: frozenset[str] = frozenset()


def choose_columns(columns: Columns, present: Sequence[str]) -> Columns:
    """Return the columns with text and title filled in, where they are None, from the columns present.

    A column that has no other role and is the only one of that kind is the text, whatever its name.

    Raises:
        BadInput: a named column is not present, or no column looks like the text or the title.
    """
    listed = ", ".join(present) or "none"
    for name in (columns.text, columns.id, columns.title, columns.time):
        if name is not None and name not in present:
            raise BadInput(f"There is no column {name!r}; the columns are: {listed}.")
    taken = {columns.id, columns.title, columns.time, *columns.skip}
    free = [name for name in present if name not in taken]
    text = columns.text or _first_present(TEXT_COLUMNS, free) or (free[0] if len(free) == 1 else None)
    title = columns.title or _first_present(TITLE_COLUMNS, [name for name in free if name != text])
    if text is None and title is None:
        raise BadInput(f"No column looks like the text; name it with --text-column. The columns are: {listed}.")
    return replace(columns, text=text, title=title)


def _first_present(wanted: Sequence[str], present: Sequence[str]) -> str | None:
    """Return the first wanted column that is present, in upper or lower case."""
    by_name = {name.casefold(): name for name in reversed(present)}
    return next((by_name[name] for name in wanted if name in by_name), None)
