"""What people see on a terminal: tables on stdout, progress bars on stderr; `cli/output.py` has lines and JSON."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from soulcaster.domain.text.normalize import escaped

PIPE_COLUMNS = 160
"""Width of a table that goes to a file or a pipe, in characters."""


class _SafeConsole(Console):
    """A console on which a string is only text: no markup, and nothing that a terminal acts on."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings and tables of this module."""
        super().print(*(literal(one) if isinstance(one, str) else one for one in objects), **options)


class _SafeTable(Table):
    """A table in which a string is only text, on one line."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row of strings or texts."""
        lines = (literal(" ".join(cell.splitlines())) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*lines, **options)


def console() -> Console:
    """Return a console on stdout: as wide as the terminal, or `PIPE_COLUMNS` where stdout is none."""
    return _SafeConsole(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)


def table(*columns: str, title: str | Text | None = None) -> Table:
    """Return an empty table without lines between its cells."""
    return _SafeTable(*columns, title=title, box=None, pad_edge=False)


def literal(text: str, style: str = "") -> Text:
    """Return text that is printed as it is, escaped for a terminal; in a string, rich takes brackets for markup."""
    return Text(escaped(text), style)


class ProgressBar:
    """A progress bar that is being shown."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None, count=0)

    def update(self, done: int, total: int | None = None, *, count: int | None = None) -> None:
        """Show how much is done of how much; `count` is the number shown at the end of the bar, else `done`."""
        self._progress.update(self._task, completed=done, total=total, count=done if count is None else count)

    def relabel(self, label: str) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=label)

    def report(self, label: str, done: int, total: int) -> None:
        """Show what is being done now, and how much of it is done."""
        self.relabel(label)
        self.update(done, total)


@contextmanager
def progress_bar(label: str, unit: str | None = None, *, transient: bool = False) -> Iterator[ProgressBar]:
    """Show a progress bar on stderr until the block ends.

    `unit` is what is counted; without it no number is shown. A transient bar disappears at the end.
    """
    count = [] if unit is None else [TextColumn(f"{{task.fields[count]:,}} {unit}")]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *count,
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=transient) as progress:
        yield ProgressBar(progress, label)
