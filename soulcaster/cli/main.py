"""The program `soulcaster`: every command, its arguments and its help; the work is done elsewhere.

What a command needs is imported when it runs, so that help and tab completion are quick.
"""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from soulcaster.bench import Order, PostedAs, Shape
from soulcaster.domain.api_keys import MAX_NAME, SCOPES
from soulcaster.errors import BadInput, SoulcasterError
from soulcaster.processes.settings import DEFAULT_DATA_DIR, Settings, load_settings, variables

T = TypeVar("T")

TABLE_ROWS = 20
TERMS = 4
WIDE = 120
"""Columns from which on a table of clusters has coherence and terms, too."""


def _settings_help() -> str:
    """Return every setting, as the end of the program's help."""
    rows = [f"- `{names}` (default {default or 'none'}): {text}" for names, default, text in variables()]
    head = "**Settings**, by environment variable; those of a `soulcaster run` in the data dir come first:"
    return "\n".join([head, "", *rows])


app = typer.Typer(
    name="soulcaster",
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
    epilog=_settings_help(),
)
bench = typer.Typer(no_args_is_help=True, help="Measure how fast it is and how well it clusters.")
app.add_typer(bench, name="bench")
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of a project.")
app.add_typer(keys, name="keys")
poll = typer.Typer(no_args_is_help=True, help="Run a poller: it reads a source and posts what is new to the HTTP API.")
app.add_typer(poll, name="poll")

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where `soulcaster run` keeps its data and, while it runs, its addresses.",
    ),
]
ProjectName = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help="A project's id or its name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the web server.", show_default="PORT, else 8080")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Make a demo project of 3,080 real messages to a bank.")
    ] = True,
) -> None:
    """Start everything on this machine, and stop it with Ctrl-C.

    Kafka, Redis, a worker, the web server and the launcher; no Docker, no Java needed. The first time it downloads
    Kafka (45 MB). Data and logs are kept in the data dir, and a second start goes on with them. Everything listens
    on this machine only.

    `soulcaster run`

    `soulcaster run --port 9000 --data-dir /var/tmp/soulcaster --no-demo`
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_before_it_is_up)  # until the run takes them over
    from soulcaster.dev.run import run as run_all

    run_all(data_dir, _load(data_dir), port=port, demo=demo)


@app.command()
def worker(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run one worker: the Faust agents that turn feedback into clusters.

    Start as many as there are partitions at most; they share the work. SIGTERM or Ctrl-C lets it finish what it has
    begun. Create the topics first: `soulcaster topics`
    """
    from soulcaster.processes.worker import run_worker

    run_worker(_load(data_dir))


@app.command()
def web(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run the web server: pages under /app, the JSON API and the intake of feedback beside them.

    `PORT=9000 soulcaster web`
    """
    from soulcaster.processes.web import run_web

    run_web(_load(data_dir))


@app.command()
def launcher(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run the launcher: it takes approved fixes from fix.commands and runs a job for each (for now a dry run)."""
    from soulcaster.processes.launcher import run_launcher

    run_launcher(_load(data_dir))


@poll.command("reddit")
def poll_reddit(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Poll Reddit: the subreddits of every project that the API shows, until Ctrl-C or SIGTERM.

    What is polled is set with POST /config/reddit/subreddits, and POST /reddit/poll has it polled at once. It needs the
    API alone (BACKEND_URL, SOULCASTER_API_KEY), so it may run anywhere. One is enough; docs/sources.md has the rest.

    `BACKEND_URL=https://feedback.example.com SOULCASTER_API_KEY=$KEY soulcaster poll reddit`
    """
    from soulcaster.pollers.reddit import run as run_poller
    from soulcaster.processes.logs import configure

    settings = _load(data_dir)
    configure(settings.log_level)
    run_poller(settings)


@poll.command("github")
def poll_github(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Have the repositories of every project that the API shows synced every few minutes, until Ctrl-C or SIGTERM.

    Which they are is set with PUT /config/project. It needs the API alone (BACKEND_URL, SOULCASTER_API_KEY), which does
    the reading, so it may run anywhere. One is enough; docs/sources.md has the rest.

    `BACKEND_URL=https://feedback.example.com SOULCASTER_API_KEY=$KEY soulcaster poll github`
    """
    from soulcaster.pollers.github import run as run_poller
    from soulcaster.processes.logs import configure

    settings = _load(data_dir)
    configure(settings.log_level)
    run_poller(settings)


@app.command()
def topics(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    check: Annotated[bool, typer.Option("--check", help="Create nothing, only say what differs.")] = False,
) -> None:
    """Create the Kafka topics that are missing, and say how the others differ from what they should be.

    Never changes a topic that exists. Ends with 1 if any differs (with --check: or is missing).
    """
    from soulcaster.adapters.kafka.provisioning import provision
    from soulcaster.wire.topics import all_topics

    s = _load(data_dir)
    wanted = all_topics(s.app_id)
    done = _complete(provision(s.kafka, wanted, partitions=s.partitions, replication=s.replication, create=not check))
    for name in done.created:
        typer.echo(f"created  {name}")
    for name in done.right:
        typer.echo(f"right    {name}")
    for difference in done.differences:
        typer.echo(f"differs  {difference}")
    if done.differences:
        raise typer.Exit(1)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .tsv with a header, or a .jsonl.")],
    project: ProjectName,
    text_column: Annotated[
        str | None, typer.Option(metavar="C", help="What was said; else the first of text, body, message, ...")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="C", help="The item's id at its source: the same id again is the same item.")
    ] = None,
    title_column: Annotated[
        str | None, typer.Option(metavar="C", help="Its title; else title or subject, if there is one.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(metavar="C", help="When it was said: ISO 8601 or seconds since 1970.")
    ] = None,
    source: Annotated[str, typer.Option(metavar="S", help="Where it is from: a short word, as reddit or survey.")] = (
        "import"
    ),
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Post the rows of a file to Kafka as feedback; a project that is not known yet is made.

    The same file twice adds nothing: a row without an id is known by its content and its number. Columns named
    author, url and github_repo_url are taken as such, every other column is kept as metadata.

    Rows that cannot be feedback (no text, a time that is none, more than 256 KB) are left out and listed with their
    reason; the rest is imported, and the exit code is then 1.

    `soulcaster import reviews.csv --project 'My app'`

    `soulcaster import bugs.jsonl -p bugs --id-column key --time-column opened --source bugzilla`
    """
    from soulcaster.services.transfer import Columns, import_command

    columns = Columns(text=text_column, id=id_column, title=title_column, time=time_column)
    refused = _complete(import_command(_load(data_dir), file, project, columns, source))
    if refused:
        raise typer.Exit(1)


@app.command()
def export(project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print every item of a project as JSON lines, newest first.

    Each line has the item's id, its external_id (the id at its source, or what import made of the row), the
    cluster_id it is in (null until it is clustered) and the item's own title.

    `soulcaster export --project 'My app' > items.jsonl`
    """
    from soulcaster.services.transfer import export_lines

    async def write() -> None:
        async for line in export_lines(_load(data_dir), project):
            sys.stdout.write(line)

    _complete(write())


@app.command()
def clusters(
    project: ProjectName,
    as_json: AsJson = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="How many.", show_default="20; with --json all")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List a project's clusters, largest first.

    `soulcaster clusters --project 'My app' --limit 5`

    `soulcaster clusters -p 'My app' --json | jq '.[0].title'`
    """
    from soulcaster.services.transfer import cluster_rows

    stats, found = _complete(cluster_rows(_load(data_dir), project, limit or (None if as_json else TABLE_ROWS)))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    wide = console.width >= WIDE
    more = ("Coherence", "Terms") if wide else ()
    table = Table("", "Items", "Title", "Status", "Sources", *more, "Id", box=None, pad_edge=False)
    for rank, row in enumerate(found, 1):
        coherence = "" if row["coherence"] is None else f"{row['coherence']:.2f}"
        cells = (coherence, _plain(", ".join(row["terms"][:TERMS]))) if wide else ()
        table.add_row(
            str(rank),
            str(row["size"]),
            _plain(row["title"]),
            row["status"],
            ", ".join(row["sources"]),
            *cells,
            row["id"],
        )
    console.print(table)
    shown = f", the {len(found)} largest shown" if len(found) < stats.total_clusters else ""
    typer.echo(
        f"{stats.total_feedback:,} items, {stats.unclustered:,} of them not clustered yet; "
        f"{stats.total_clusters:,} clusters{shown}."
    )


@app.command()
def rebuild(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Empty Redis of the read model and make it again from Kafka.

    For a Redis that was lost, or that something is wrong with. The worker may go on meanwhile; pages and API show a
    part until it is done. Sign-in links and cached vectors stay.
    """
    from soulcaster.services.rebuild import rebuild_command

    typer.echo(f"Rebuilt from {_complete(rebuild_command(_load(data_dir))):,} records.")


@keys.command("create")
def create_key(
    project: ProjectName,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the key is for, 1 to 100 characters.")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", "-s", metavar="|".join(SCOPES), help="What it may do; give it more than once for more."
        ),
    ],
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Days it is good for.", show_default="no end")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a key and print it, once: only its hash is kept. A project that is not there yet is made.

    `soulcaster keys create --project 'My app' --name CI --scope ingest --scope read`

    `curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8080/stats`
    """
    from soulcaster.cli.keys import create

    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise BadInput(f"A key's name has 1 to {MAX_NAME} characters.")
    unknown = sorted(set(scope) - set(SCOPES))
    if unknown:
        raise BadInput(f"{unknown[0]!r} is no scope; there are: {', '.join(SCOPES)}.")
    scopes = [known for known in SCOPES if known in scope]
    secret, key, found = _complete(create(_load(data_dir), project, name, scopes, days))
    typer.echo(secret)
    until = "" if key.expires_at is None else f", until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    typer.echo(
        f"Key {key.id} of {found.name!r} ({found.id}): {', '.join(key.scopes)}{until}. It is good a moment from now, "
        "and shown this once.",
        err=True,
    )


@keys.command("list")
def list_keys(project: ProjectName, as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List a project's keys, newest first, those that were revoked too."""
    from soulcaster.cli.keys import listed

    found = _complete(listed(_load(data_dir), project))
    if as_json:
        shown = [{**view.key.shown(), "last_used_at": view.last_used_at} for view in found]
        typer.echo(json.dumps(shown, indent=2, default=str))
        return
    table = Table("Name", "Scopes", "Made", "Until", "Last used", "Id", box=None, pad_edge=False)
    for view in found:
        end = "revoked" if view.key.revoked_at else _day(view.key.expires_at) or "no end"
        made, used = _day(view.key.created_at), _day(view.last_used_at) or "never"
        table.add_row(_plain(view.key.name), ", ".join(view.key.scopes), made, end, used, view.key.id)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@keys.command("revoke")
def revoke_key(
    project: ProjectName,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `soulcaster keys list` shows it.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Revoke a key: a moment later it is good no more."""
    from soulcaster.cli.keys import revoke

    key = _complete(revoke(_load(data_dir), project, key_id))
    typer.echo(f"Revoked {key.name!r} ({key.id}).")


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="A topic's name; an unknown one is answered with the list of all.")],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Not only what comes from now on.")] = False,
    most: Annotated[int | None, typer.Option("--max", "-n", min=1, help="Stop after so many messages.")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more at the end.")] = True,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print a topic's messages, one JSON line each.

    A line has partition, offset, timestamp, key, headers and value; a key, header or value that is not text or JSON
    stands as base64 under key_base64 or value_base64.

    `soulcaster tail cluster.events`

    `soulcaster tail dead-letters --from-beginning --no-follow`
    """
    from soulcaster.adapters.kafka.tail import tail_lines

    async def write() -> None:
        servers = _load(data_dir).kafka
        lines = tail_lines(servers, topic, from_beginning=from_beginning, limit=most, follow=follow)
        async with aclosing(lines):
            async for line in lines:
                sys.stdout.write(line)
                sys.stdout.flush()

    _complete(write())


@app.command()
def sources(project: ProjectName, as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Say of each source of a project whether it is connected, what came last, what failed last, and what to do.

    `soulcaster sources --project "My app"`
    """
    from soulcaster.cli.sources import shown, sources_command

    found = _complete(sources_command(_load(data_dir), project))
    if as_json:
        typer.echo(json.dumps([shown(one) for one in found], indent=2, default=str))
        return
    table = Table("Source", "Connected", "Last received", "Last error", "What to do", box=None, pad_edge=False)
    for one in found:
        error = one.state.report.last_error if one.state.report else None
        connected = "off" if not one.enabled else "yes" if one.connected else "no"
        received = one.state.last_received_at
        when = "never" if received is None else received.isoformat(" ", "minutes")
        table.add_row(one.state.source, connected, when, _plain(error or ""), one.to_do or "nothing")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@app.command()
def doctor(as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Say what is reachable, which versions, how far behind each agent is, and what to do about what is wrong.

    Ends with 1 if anything is wrong.
    """
    from soulcaster.cli.doctor import examine, show

    report = _complete(examine(_load(data_dir), data_dir))
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        show(report)
    if report.problems:
        raise typer.Exit(1)


@bench.command()
def pipeline(
    items: Annotated[int, typer.Option(min=1000, help="How many items each run feeds.")] = 50_000,
    as_json: AsJson = False,
) -> None:
    """Compare the whole chain with a bare Faust forwarder and with its own functions in a plain loop.

    It does so on a Kafka and a Redis of its own, and takes some minutes; stop what else runs on the machine,
    Soulcaster's own stack too.

    `soulcaster bench pipeline --items 50000 --json`
    """
    from soulcaster.bench.pipeline import main as measure

    measure(items, as_json)


@bench.command()
def intake(
    kind: Annotated[
        PostedAs,
        typer.Option("--as", metavar="KIND", help="`feedback`, or webhooks, signed: of `sentry` or of `github`."),
    ] = "feedback",
    per_second: Annotated[int, typer.Option(min=1, help="Posts a second.")] = 500,
    seconds: Annotated[int, typer.Option(min=1, help="For how long.")] = 60,
    worker_down: Annotated[
        bool, typer.Option("--worker-down", help="Post while no worker runs, and count once one does again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Post many small items a second while a worker works; say how fast they are answered, and what is lost.

    It does so on a Kafka and a Redis of its own; stop what else runs on the machine.

    `soulcaster bench intake --per-second 500 --seconds 60`

    `soulcaster bench intake --as sentry --per-second 10 --seconds 30 --worker-down`
    """
    from soulcaster.bench.intake import main as measure

    measure(kind, per_second, seconds, worker_down=worker_down, as_json=as_json)


@bench.command()
def scale(
    items: Annotated[int, typer.Option(min=1000, help="How many items come in.")] = 60_000,
    as_json: AsJson = False,
) -> None:
    """Show what the clusterer costs as a project grows: speed, pauses, rounds and memory, on one core.

    The stream is made up, every item a group of its own, which is the hardest case. Needs no Kafka and no Redis.

    `soulcaster bench scale --items 200000`
    """
    from soulcaster.bench.scale import main as measure

    measure(items, as_json)


@bench.command()
def clustering(
    texts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .csv, .tsv or .jsonl with a label for each text.",
            show_default="the demo data, whose rows are sorted by label",
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(metavar="C", help="What was said.")] = "text",
    title_column: Annotated[str | None, typer.Option(metavar="C", help="Its title, put in front of the text.")] = None,
    label_column: Annotated[str, typer.Option(metavar="C", help="What people say belongs together.")] = "category",
    embedder: Annotated[
        str | None,
        typer.Option(metavar="E", help="`static`, or a folder with a model2vec model.", show_default="static"),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .npy of vectors instead, one row for each row of the texts."),
    ] = None,
    order: Annotated[
        Order, typer.Option(metavar="O", help="`arrival`: as in the file; `shuffled`; `topic`: label after label.")
    ] = "arrival",
    shape: Annotated[Shape, typer.Option(metavar="S", help="How many items of which label; see above.")] = "as-is",
    with_texts: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="FILE", help="The other texts of `mixed`; same columns.", show_default="the demo data"
        ),
    ] = None,
    with_embeddings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Their vectors, where --embeddings is given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same items in the same order.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="How many items come at once.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Say how well texts that people labelled are clustered as they come, how fast, and how much moves later.

    Scores are B-cubed (the F1 of both to look at first), V-measure and the adjusted Rand index: of the clusters items
    were given at first, and of those after the last consolidation. Beside them stand what no clustering at all would
    score, and the best cut of a batch dendrogram (average linkage) on the same vectors, the cut chosen by the labels.

    Shapes: `as-is`, all there are; `zipf`, few labels with many items and many with few; `few-per-class`, three items
    a label; `few-classes`, 15 of the 30 largest labels; `near-singletons`, hardly two items of a label; `mixed`, two
    files together.

    Speed is that of one core, with the vectors at hand. Needs no Kafka and no Redis.

    `soulcaster bench clustering --order shuffled`

    `soulcaster bench clustering --texts tickets.csv --text-column body --title-column subject --label-column topic`
    """
    from soulcaster.bench.clustering import Options
    from soulcaster.bench.clustering import main as measure

    options = Options(
        texts=texts,
        text_column=text_column,
        title_column=title_column,
        label_column=label_column,
        embedder=embedder,
        embeddings=embeddings,
        order=order,
        shape=shape,
        with_texts=with_texts,
        with_embeddings=with_embeddings,
        seed=seed,
        batch=batch,
    )
    measure(options, as_json)


def main() -> None:
    """Run the program; the entry point. Every error is one sentence on stderr and an exit code other than 0."""
    for library in ("aiokafka", "jgo"):
        # What they would print of a try that failed, we say in our own words; a worker's log still has it.
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        app()
    except SoulcasterError as error:
        typer.echo(f"soulcaster: {error}", err=True)
        sys.exit(1)


def _end_before_it_is_up(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal while nothing runs yet that had to be stopped.

    No KeyboardInterrupt: where one is raised within an `exec`, as dataclasses do it on import, CPython ends the process
    by SIGINT even though it was caught (`run_eval_code_obj` in its pythonrun.c).
    """
    typer.echo("Stopped before it was up.")
    sys.exit(0)


def _complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end, what it printed included."""
    result = asyncio.run(work)
    sys.stdout.flush()
    return result


def _load(data_dir: Path) -> Settings:
    """Return the settings.

    Raises:
        BadInput: a variable's value cannot be used, or the data dir cannot be read.
    """
    try:
        return load_settings(data_dir)
    except OSError as error:
        raise BadInput(f"The data dir {data_dir} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r}" for e in error.errors())
        raise BadInput(f"A setting cannot be used: {wrong}") from error


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"


def _plain(text: str) -> str:
    """Return somebody's text as the table prints it: no markup of theirs counts."""
    return text.replace("[", "\\[")
