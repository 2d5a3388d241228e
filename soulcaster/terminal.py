"""What people see on a terminal: tables and JSON on stdout, progress bars on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 160
"""Width of a table that goes to a file or a pipe, in characters."""


def console() -> Console:
    """Return a console on stdout: as wide as the terminal, or `PIPE_COLUMNS` where stdout is none."""
    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)


def table(*columns: str, title: str | Text | None = None) -> Table:
    """Return an empty table without lines between its cells."""
    return Table(*columns, title=title, box=None, pad_edge=False)


def literal(text: str) -> Text:
    """Return text that a table prints as it is; in a string, rich takes square brackets for markup."""
    return Text(text)


def print_json(value: Any) -> None:
    """Print a JSON value with indentation; what JSON has no form for, such as a time, is printed as a string."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


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
