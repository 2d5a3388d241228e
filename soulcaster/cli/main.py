"""The program `soulcaster`: every command by its name, and the help of the program.

Command modules import what a command needs when it runs, so help and tab completion are quick.
"""

import errno
import logging
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from soulcaster.cli import (
    backup,
    bench,
    clusters,
    doctor,
    fix,
    importing,
    keys,
    poll,
    processes,
    rebuild,
    sources,
    tail,
    topics,
    transfer,
)
from soulcaster.cli.output import say
from soulcaster.errors import SoulcasterError
from soulcaster.processes.garbage import look_rarely
from soulcaster.telemetry.lossy_stream import may_lose


class _Program(TyperGroup):
    """The program; its help ends with all settings, which are imported only then: that takes half a second."""

    def format_help(self, *args: Any) -> None:
        self.epilog = _settings_help()
        super().format_help(*args)


def _settings_help() -> str:
    """Return every setting, by section, for the end of the program's help."""
    from soulcaster.processes.settings import sections

    lines = [
        "**Settings** are environment variables; those of a `soulcaster run` in the data dir take precedence.",
        "A secret may be in a file that `<VARIABLE>_FILE` names.",
    ]
    for section, listed in sections().items():
        rows = [f"- `{names}` (default {default or 'none'}): {text}" for names, default, text in listed]
        lines += ["", f"**{section}**", "", *rows]
    return "\n".join(lines)


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)
"""A full disk, a full share of it, and a reader that is gone."""

app = typer.Typer(
    name="soulcaster",
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turns a stream of user feedback into a short, ranked list of real problems.\n\n"
    "Start with `soulcaster run`: it starts everything on this machine, with demo data. "
    "Then, in a second terminal, for example:\n\n"
    "`soulcaster import reviews.csv --project 'My app'`\n\n"
    "`soulcaster clusters --project 'My app'`\n\n"
    "`soulcaster doctor`",
)
app.command()(processes.run)
app.command()(processes.worker)
app.command()(processes.web)
app.command()(processes.launcher)
app.command("import")(importing.import_file)
app.command("export")(transfer.export_project)
app.command()(clusters.clusters)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(rebuild.rebuild)
app.command()(tail.tail)
app.command()(sources.sources)
app.command()(doctor.doctor)
app.add_typer(bench.app, name="bench")
app.add_typer(fix.app, name="fix")
app.add_typer(keys.app, name="keys")
app.add_typer(poll.app, name="poll")
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Run the program; the entry point. An error is one sentence on stderr and the exit code 1."""
    for library in ("aiokafka", "jgo"):
        # We report a failed connection or download in our own words; a worker's log still has theirs.
        logging.getLogger(library).addHandler(logging.NullHandler())
    may_lose("stderr")
    look_rarely()
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # else Python does it, after our end
    except SoulcasterError as error:
        say(f"soulcaster: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        may_lose("stdout")
        say(f"soulcaster: What this shows or writes is not whole: {os.strerror(error.errno)}.", err=True)
        sys.exit(1)
