"""`soulcaster import`: feedback from files."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.errors import BadInput
from soulcaster.processes.clock import utc_now
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR
from soulcaster.services.import_ids import EqualIds

if TYPE_CHECKING:
    from soulcaster.adapters.table_files.files import Reading, TableFile
    from soulcaster.ports.projects import Project
    from soulcaster.processes.settings import Settings
    from soulcaster.services.file_import import Imported
    from soulcaster.services.import_columns import Columns
    from soulcaster.services.import_survey import Survey
    from soulcaster.services.import_times import TimeRules

ROWS_SHOWN = 20
ITEMS_SHOWN = 3
TEXT_SHOWN = 200


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv, .tsv or .txt with names of columns, an .xlsx, or a .jsonl.")
    ],
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="A project's id or name.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only show what would be imported, and what not; post nothing.")
    ] = False,
    text_column: Annotated[
        str | None,
        typer.Option(metavar="C", help="What the person wrote; by default the first of text, body, message, ..."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="C", help="The item's id at its source; the same id is the same item.")
    ] = None,
    title_column: Annotated[
        str | None, typer.Option(metavar="C", help="The item's title; by default title or subject, if there is one.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(metavar="C", help="When it was written, as people or machines write times.")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(metavar="F", help="How the times are written, as for strptime: '%d/%m/%Y %H:%M'.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="Z", help="The zone of times that name none: Europe/Berlin, or +02:00.")
    ] = "UTC",
    equal_ids: Annotated[
        EqualIds,
        typer.Option(help="Rows with one id: the last counts, they are joined to one item, or numbered to many."),
    ] = "last",
    delimiter: Annotated[
        str | None, typer.Option(metavar="D", help="What parts the fields; by default found out. '\\t' is a tab.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="E", help="The encoding, such as cp1252; by default found out.")
    ] = None,
    header_row: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The line of the names of the columns; by default found out.")
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="S", help="Where the items come from: a short word, such as reddit or survey.")
    ] = "import",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Post the rows of a file to Kafka as feedback; a project that does not exist yet is created.

    Importing a file again adds nothing: a row without an id is recognised by its content and its number. The columns
    author, url and github_repo_url fill the fields of the same name; all other columns are kept as metadata. Exports of
    Jira, Play Console, Zendesk, Intercom, Typeform, SurveyMonkey and Qualtrics are known by their columns.

    A row that cannot be feedback (no text, a time that cannot be read or could be two, a quote that is not closed, more
    than 256 KB) is left out and listed with its reason, and so is a row that a later one with its id replaces. All
    others are imported, and the exit code is 1.

    `soulcaster import --check reviews.csv`

    `soulcaster import reviews.csv --project 'My app'`

    `soulcaster import bugs.jsonl -p bugs --id-column key --time-column opened --source bugzilla`
    """
    from soulcaster.adapters.table_files.files import Reading
    from soulcaster.services.file_import import check_source
    from soulcaster.services.import_columns import COLUMN_NAMES, Columns
    from soulcaster.services.import_times import TimeRules, zone_named

    columns = Columns(text=text_column, id=id_column, title=title_column, time=time_column)
    rules = TimeRules(time_format, zone_named(timezone))
    reading = Reading("\t" if delimiter == "\\t" else delimiter, encoding, header_row, COLUMN_NAMES)
    source = check_source(source)
    if check:
        found, imported = _look(file, reading, columns, rules, source, equal_ids)
    elif project is None:
        raise BadInput("Say by --project into which project, or by --check that you only want to look.")
    else:
        target, found, imported = complete(
            _import(settings_of(data_dir), file, reading, project, columns, rules, source, equal_ids)
        )
        say(f"{_rows(imported.posted)} posted to project {target.name} ({target.id}).")
    if _tell(found, imported, equal_ids):
        raise typer.Exit(1)


def _look(
    path: Path, reading: "Reading", columns: "Columns", rules: "TimeRules", source: str, equal_ids: EqualIds
) -> "tuple[Survey, Imported]":
    from soulcaster.adapters.table_files.files import open_table
    from soulcaster.services.file_import import look_at_rows

    with open_table(path, reading) as table:
        found = _survey(table, columns, rules)
        look = look_at_rows(table.rows, found, source=source, first=ITEMS_SHOWN, equal_ids=equal_ids)
        say(table.form)
        roles = {"text": found.columns.text, "title": found.columns.title, "id": found.columns.id}
        for role, name in {**roles, "time": found.columns.time}.items():
            say(f"{role}: {'no column' if name is None else _cut(name)}")
        for item in look.first:
            say(f"- title: {_cut(item.get('title', ''))}\n  text: {_cut(item.get('body', ''))}")
            say(f"  id: {_cut(item['external_id'])}, time: {item.get('created_at', 'when it is imported')}")
            say(f"  metadata: {_cut(', '.join(item['metadata']) or 'none')}")
        say(f"{_rows(look.imported.posted)} would be posted; nothing was.")
    return found, look.imported


async def _import(
    settings: "Settings",
    path: Path,
    reading: "Reading",
    project: str,
    columns: "Columns",
    rules: "TimeRules",
    source: str,
    equal_ids: EqualIds,
) -> "tuple[Project, Survey, Imported]":
    from soulcaster.adapters.table_files.files import open_table
    from soulcaster.errors import KafkaUnavailable
    from soulcaster.processes.connections import open_publisher, open_read_model
    from soulcaster.services.file_import import import_rows
    from soulcaster.services.projects import find_or_create_project
    from soulcaster.terminal import progress_bar

    with open_table(path, reading) as table:
        found = _survey(table, columns, rules)  # a file that cannot be imported creates no project
        async with open_read_model(settings) as read_model, open_publisher(settings) as publisher:
            target = await find_or_create_project(publisher, read_model.projects, project, at=utc_now())
            with progress_bar("Posting", "rows") as bar:
                posted = 0

                def report(count: int) -> None:
                    nonlocal posted
                    posted = count
                    bar.update(table.position(), table.size, count=count)

                try:
                    imported = await import_rows(
                        table.rows,
                        found,
                        project_id=target.id,
                        source=source,
                        publisher=publisher,
                        equal_ids=equal_ids,
                        report=report,
                    )
                except KafkaUnavailable as error:
                    raise KafkaUnavailable(
                        f"{error}. {_rows(posted)} were posted; import the same file again, nothing is doubled."
                    ) from error
    return target, found, imported


def _survey(table: "TableFile", columns: "Columns", rules: "TimeRules") -> "Survey":
    from itertools import islice

    from soulcaster.services.import_columns import choose_columns
    from soulcaster.services.import_survey import survey

    chosen = choose_columns(columns, table.columns, list(islice(table.rows, ROWS_SHOWN)))
    found = survey(table.rows, chosen, rules)
    return replace(found, notes=(*table.notes, *found.notes))


def _tell(found: "Survey", imported: "Imported", equal_ids: EqualIds) -> bool:
    """Print what a person should know; return whether rows of the file are missing."""
    for note in found.notes:
        say(_cut(note), err=True)
    for row in imported.doubted[:ROWS_SHOWN]:
        say(f"row {row.number} (line {row.line}) was taken, but {row.doubt}", err=True)
    for refused in imported.refused[:ROWS_SHOWN]:
        say(f"row {refused.row.number} (line {refused.row.line}) left out: {_cut(refused.reason)}", err=True)
    if imported.refused:
        say(f"{_rows(len(imported.refused))} left out{_not_listed(len(imported.refused))}.", err=True)
    gone = found.shared.rows if equal_ids == "last" else {}
    for own, numbers in list(gone.items())[:ROWS_SHOWN]:
        *before, last = map(str, numbers)
        say(
            f"row{'s' if len(before) > 1 else ''} {', '.join(before)} gone: row {last} has the same id {_cut(own)}",
            err=True,
        )
    if gone:
        rows = _rows(sum(len(numbers) - 1 for numbers in gone.values()))
        say(f"{rows} gone{_not_listed(len(gone))}; --equal-ids joins or numbers them.", err=True)
    if found.shared.shortened is not None:
        say(f"{_cut(found.shared.shortened)} is an id that a spreadsheet shortened: export it as text.", err=True)
    return bool(imported.refused or gone)


def _not_listed(count: int) -> str:
    return f", {count - ROWS_SHOWN:,} of them not listed" if count > ROWS_SHOWN else ""


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _cut(text: str) -> str:
    """Return text as one line of a list."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_SHOWN else line[:TEXT_SHOWN] + "…"
