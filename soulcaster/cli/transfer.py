"""`soulcaster import` and `export`: feedback from files, and items to JSON lines."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say, say_json_line
from soulcaster.processes.clock import utc_now
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.ports.projects import Project
    from soulcaster.processes.settings import Settings
    from soulcaster.services.file_import import Imported
    from soulcaster.services.import_columns import Columns

REFUSED_ROWS_SHOWN = 20


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .tsv with a header, or a .jsonl.")],
    project: ProjectName,
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
        str | None, typer.Option(metavar="C", help="When it was written: ISO 8601 or seconds since 1970.")
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="S", help="Where the items come from: a short word, such as reddit or survey.")
    ] = "import",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Post the rows of a file to Kafka as feedback; a project that does not exist yet is created.

    Importing a file again adds nothing: a row without an id is recognised by its content and its number. The columns
    author, url and github_repo_url fill the fields of the same name; all other columns are kept as metadata.

    A row that cannot be feedback (no text, a time that cannot be read, more than 256 KB) is left out and listed with
    its reason. The other rows are imported, and the exit code is 1.

    `soulcaster import reviews.csv --project 'My app'`

    `soulcaster import bugs.jsonl -p bugs --id-column key --time-column opened --source bugzilla`
    """
    from soulcaster.services.file_import import check_source
    from soulcaster.services.import_columns import Columns

    columns = Columns(text=text_column, id=id_column, title=title_column, time=time_column)
    target, imported = complete(_import(settings_of(data_dir), file, project, columns, check_source(source)))
    say(f"{_rows(imported.posted)} posted to project {target.name} ({target.id}).")
    for refused in imported.refused[:REFUSED_ROWS_SHOWN]:
        say(f"row {refused.row.number} (line {refused.row.line}) left out: {refused.reason}", err=True)
    if imported.refused:
        more = len(imported.refused) - REFUSED_ROWS_SHOWN
        rest = f", {more:,} of them not listed" if more > 0 else ""
        say(f"{_rows(len(imported.refused))} left out{rest}.", err=True)
        raise typer.Exit(1)


async def _import(
    settings: "Settings", path: Path, project: str, columns: "Columns", source: str
) -> "tuple[Project, Imported]":
    from soulcaster.adapters.table_files import open_table
    from soulcaster.errors import KafkaUnavailable
    from soulcaster.processes.connections import open_publisher, open_read_model
    from soulcaster.services.file_import import import_rows
    from soulcaster.services.import_columns import choose_columns
    from soulcaster.services.projects import find_or_create_project
    from soulcaster.terminal import progress_bar

    with open_table(path) as table:
        columns = choose_columns(columns, table.columns)  # a file that cannot be imported creates no project
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
                        table.rows, columns, project_id=target.id, source=source, publisher=publisher, report=report
                    )
                except KafkaUnavailable as error:
                    raise KafkaUnavailable(
                        f"{error}. {_rows(posted)} were posted; import the same file again, nothing is doubled."
                    ) from error
    return target, imported


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def export_project(project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print every item of a project as a line of JSON, newest first.

    A line has the item's id, its external_id (the id at its source, or the one that import gave the row), its
    cluster_id (null until it is clustered) and the item's own title.

    `soulcaster export --project 'My app' > items.jsonl`
    """
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.export import export_items

    async def write() -> None:
        async with open_read_model(settings_of(data_dir)) as read_model:
            async for item in export_items(read_model, project):
                say_json_line(asdict(item))

    complete(write())
