"""`soulcaster bench`: measurements that anyone can repeat."""

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soulcaster.bench import Order, PostedAs, Shape
from soulcaster.cli.options import AsJson, complete, need_local
from soulcaster.cli.output import say_json
from soulcaster.errors import BadInput


def _begin(context: typer.Context) -> None:
    """Have SIGTERM do what Ctrl-C does: end the processes that the bench has started, and delete their data."""
    need_local()
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    context.call_on_close(lambda: signal.signal(signal.SIGTERM, before))


app = typer.Typer(
    no_args_is_help=True, help="Measure how fast Soulcaster is and how well it clusters.", callback=_begin
)


@app.command()
def pipeline(
    items: Annotated[int, typer.Option(min=1000, help="Items that each run processes.")] = 50_000,
    as_json: AsJson = False,
) -> None:
    """Compare the whole chain with a bare Faust forwarder, and with its own functions in a plain loop.

    It starts a Kafka and a Redis for itself and takes some minutes. Stop whatever else runs on the machine, a
    `soulcaster run` too.

    `soulcaster bench pipeline --items 50000 --json`
    """
    from soulcaster.bench.pipeline import measure
    from soulcaster.cli.bench_tables import print_pipeline
    from soulcaster.terminal import progress_bar

    with progress_bar("starting Kafka and Redis") as bar:
        figures = complete(measure(items, lambda what: bar.relabel(f"measuring {what}")))
    if as_json:
        say_json(asdict(figures))
    else:
        print_pipeline(figures)


@app.command()
def intake(
    kind: Annotated[
        PostedAs,
        typer.Option("--as", metavar="KIND", help="`feedback`, or signed webhooks of `sentry` or `github`."),
    ] = "feedback",
    per_second: Annotated[int, typer.Option(min=1, help="Posts a second.")] = 500,
    seconds: Annotated[int, typer.Option(min=1, help="For how long.")] = 60,
    worker_down: Annotated[
        bool, typer.Option("--worker-down", help="Post while no worker runs; start one again to count the items.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Post many small items a second while a worker runs; say how fast they are answered, and how many are lost.

    It starts a Kafka and a Redis for itself. Stop whatever else runs on the machine.

    `soulcaster bench intake --per-second 500 --seconds 60`

    `soulcaster bench intake --as sentry --per-second 10 --seconds 30 --worker-down`
    """
    from soulcaster.bench.intake import Load, measure
    from soulcaster.cli.bench_tables import intake_json, print_intake
    from soulcaster.terminal import progress_bar

    load = Load(kind, per_second, seconds, worker_down)
    with progress_bar("Posting", "posts") as bar:
        figures = complete(measure(load, lambda done: bar.update(done, per_second * seconds)))
    if as_json:
        say_json(intake_json(figures))
    else:
        print_intake(figures)


@app.command()
def workers(
    items: Annotated[int, typer.Option(min=1000, help="Items that each run processes.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Compare one worker with two on the same items, each with the same share of a core.

    It starts a Kafka and a Redis for itself. The shares need root and control groups; without, it says that there were
    none. Stop whatever else runs on the machine.

    `soulcaster bench workers --items 20000`
    """
    from soulcaster.bench.workers import measure
    from soulcaster.cli.bench_tables import print_workers
    from soulcaster.terminal import progress_bar

    with progress_bar("starting Kafka and Redis") as bar:
        figures = complete(measure(items, lambda what: bar.relabel(f"measuring {what}")))
    if as_json:
        say_json(asdict(figures))
    else:
        print_workers(figures)


@app.command()
def growth(
    items: Annotated[int, typer.Option(min=1000, help="Items that the worker takes in all.")] = 1_000_000,
    topics: Annotated[int, typer.Option(min=8, help="Topics that the items are about.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Show what an item costs a worker as there are more, in CPU time, and how soon a new worker is ready after that.

    It starts a Kafka and a Redis for itself. A million items take about half an hour and some gigabytes of memory.

    `soulcaster bench growth --items 1000000 --topics 10000`
    """
    from soulcaster.bench.growth import measure
    from soulcaster.cli.bench_tables import print_growth
    from soulcaster.terminal import progress_bar

    with progress_bar("Starting Kafka and Redis", "items") as bar:
        figures = complete(measure(items, topics, bar.report))
    if as_json:
        say_json(asdict(figures))
    else:
        print_growth(figures)


@app.command()
def web(
    clusters: Annotated[int, typer.Option(min=100, help="Clusters of the read model.")] = 10_000,
    items: Annotated[int, typer.Option(min=1000, help="Items of the read model.")] = 1_000_000,
    requests: Annotated[int, typer.Option(min=1, help="How often each page and list is asked for.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Say how long each page and list takes at the web server with a large read model behind it.

    It starts a Kafka and a Redis for itself and writes the read model first, which takes minutes and, for a million
    items, some gigabytes of memory. Stop whatever else runs on the machine.

    `soulcaster bench web --clusters 10000 --items 1000000`
    """
    from soulcaster.bench.web import measure
    from soulcaster.cli.bench_tables import print_web
    from soulcaster.terminal import progress_bar

    if items < clusters:
        raise typer.BadParameter("Give at least as many items as clusters.", param_hint="--items")

    with progress_bar("Starting Kafka and Redis") as bar:
        figures = complete(measure(clusters, items, requests, bar.report))
    if as_json:
        say_json(asdict(figures))
    else:
        print_web(figures)


@app.command()
def neighbour(
    items: Annotated[int, typer.Option(min=1000, help="Items of the greedy project.")] = 100_000,
    requests: Annotated[
        int, typer.Option(min=10, help="How often each list of the other project is asked for; so many items it posts.")
    ] = 200,
    as_json: AsJson = False,
) -> None:
    """Say what a project feels of another one that searches long lists over many connections, or imports many items.

    It starts a Kafka and a Redis for itself. Stop whatever else runs on the machine.

    `soulcaster bench neighbour --items 100000`
    """
    from soulcaster.bench.neighbour import measure
    from soulcaster.cli.bench_tables import print_neighbour
    from soulcaster.terminal import progress_bar

    with progress_bar("Starting Kafka and Redis") as bar:
        figures = complete(measure(items, requests, bar.report))
    if as_json:
        say_json(asdict(figures))
    else:
        print_neighbour(figures)


@app.command("pull-requests")
def pull_requests(
    jobs: Annotated[int, typer.Option(min=1, help="Jobs to run, one after the other.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say how long it takes from a click to a draft pull request, without the work of an agent and of tests.

    It starts a Kafka, a Redis and a small GitHub for itself. Stop whatever else runs on the machine.

    `soulcaster bench pull-requests --jobs 10`
    """
    from soulcaster.bench.pull_requests import measure
    from soulcaster.cli.bench_tables import print_pull_requests
    from soulcaster.terminal import progress_bar

    with progress_bar("Making pull requests", "jobs") as bar:
        figures = complete(measure(jobs, lambda done: bar.update(done, jobs)))
    if as_json:
        say_json(asdict(figures))
    else:
        print_pull_requests(figures)


@app.command()
def fixes(
    jobs: Annotated[int, typer.Option(min=1, help="Jobs to start and cancel, one after the other.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Say how long it takes from a click to a program that runs, and from a cancel to no process.

    It starts a Kafka and a Redis for itself, and jobs on the backend `local`. Stop whatever else runs on the machine.

    `soulcaster bench fixes --jobs 20`
    """
    from soulcaster.bench.fixes import measure
    from soulcaster.cli.bench_tables import print_fixes
    from soulcaster.terminal import progress_bar

    with progress_bar("Starting and cancelling", "jobs") as bar:
        figures = complete(measure(jobs, lambda done: bar.update(done, jobs)))
    if as_json:
        say_json(asdict(figures))
    else:
        print_fixes(figures)


@app.command()
def scale(
    items: Annotated[int, typer.Option(min=1000, help="Items that the stream has.")] = 60_000,
    as_json: AsJson = False,
) -> None:
    """Show what the clusterer costs as a project grows: speed, pauses, rounds and memory, on one core.

    The stream is synthetic, and every item opens a micro-cluster, which is the hardest case. No Kafka and no Redis are
    needed.

    `soulcaster bench scale --items 200000`
    """
    from soulcaster.bench.scale import STREAMS, measure_alone
    from soulcaster.cli.bench_tables import print_scale
    from soulcaster.terminal import progress_bar

    with progress_bar("clustering", "items") as bar:
        growth = measure_alone(items, lambda done: bar.update(done, STREAMS * items))
    if as_json:
        say_json(asdict(growth))
    else:
        print_scale(growth)


@app.command()
def masking(
    texts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts with the parts marked that must be masked.", show_default="our list"),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Show the texts with an error, as they were masked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how much of the personal data in texts is masked, and how much of what is masked is personal data.

    A part counts as found if its beginning, its end and its kind are right. A file has one text a line, in which
    `{kind text}` marks a part (kinds: `email`, `ip`, `phone`, `card`, `secret`), and `## name` begins a section.

    `soulcaster bench masking`

    `soulcaster bench masking --texts ours.txt --errors`
    """
    from soulcaster.bench.masking import measure
    from soulcaster.cli.bench_tables import print_masking

    figures = measure(texts)
    if as_json:
        say_json(asdict(figures))
    else:
        print_masking(figures, with_errors=errors)


@app.command()
def clustering(
    texts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .csv, .tsv or .jsonl with a label for each text.",
            show_default="the demo data, whose rows are sorted by label",
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(metavar="C", help="The text.")] = "text",
    title_column: Annotated[str | None, typer.Option(metavar="C", help="A title, put before the text.")] = None,
    label_column: Annotated[
        str, typer.Option(metavar="C", help="The label; texts with the same label belong together.")
    ] = "category",
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="E",
            help="`static`, `small`, `multilingual`, or the folder of a model2vec model.",
            show_default="static",
        ),
    ] = None,
    embeddings: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A .npy of vectors instead, one row for each row of the texts; with --mix, one file for each.",
            show_default=False,
        ),
    ] = None,
    mix: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Another file with the same columns, or `demo`, to stream together with the first; may be repeated.",
            show_default=False,
        ),
    ] = None,
    order: Annotated[
        Order, typer.Option(metavar="O", help="`arrival`: as in the file; `shuffled`; `topic`: label after label.")
    ] = "arrival",
    shape: Annotated[Shape, typer.Option(metavar="S", help="How many items of which label; see above.")] = "as-is",
    seed: Annotated[int, typer.Option(min=0, help="The same seed takes the same items in the same order.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Items that arrive together.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Say how well labelled texts are clustered as they arrive, how fast, and how much changes later.

    The scores are B-cubed (look at its F1 first; in F0.5 precision counts double), V-measure and the adjusted Rand
    index: of the clusters that items joined first, and of those after the last round. For comparison it shows what no
    clustering at all would score, and the best cut of a batch dendrogram (average linkage) on the same vectors, chosen
    by the labels.

    Shapes: `as-is`, all items; `zipf`, few labels with many items and many with few; `few-per-class`, three items of
    each label; `few-classes`, 15 of the 30 largest labels; `near-singletons`, mostly one item of a label.

    Speed is measured on one core, without embedding. No Kafka and no Redis are needed.

    `soulcaster bench clustering --order shuffled`

    `soulcaster bench clustering --texts tickets.csv --text-column body --title-column subject --label-column topic`

    `soulcaster bench clustering --texts tickets.csv --mix alerts.csv --mix demo --order shuffled`
    """
    from soulcaster.bench.clustering import Options, measure
    from soulcaster.bench.datasets import LabelledFile
    from soulcaster.cli.bench_tables import print_clustering
    from soulcaster.terminal import progress_bar

    def labelled(file: Path) -> LabelledFile:
        return LabelledFile(file, text_column, title_column, label_column)

    mixed = [LabelledFile() if file == Path("demo") else labelled(file) for file in mix or ()]
    options = Options(
        files=(labelled(texts) if texts else LabelledFile(), *mixed),
        embedder=embedder,
        embeddings=tuple(embeddings or ()),
        order=order,
        shape=shape,
        seed=seed,
        batch=batch,
    )
    with progress_bar("reading", "items") as bar:
        found = measure(options, bar.report)
    if as_json:
        say_json(found)
    else:
        print_clustering(found)


@app.command()
def grouping(
    sets: Annotated[
        Path, typer.Argument(metavar="SETS", help="A folder of labelled files, or a .toml that lists them.")
    ],
    text_column: Annotated[str, typer.Option(metavar="C", help="The text, where the list names no other.")] = "text",
    title_column: Annotated[
        str | None, typer.Option(metavar="C", help="A title, where the list names no other.", show_default=False)
    ] = None,
    label_column: Annotated[
        str, typer.Option(metavar="C", help="The label, where the list names no other.")
    ] = "category",
    embedder: Annotated[str, typer.Option(metavar="E", help="As for `bench clustering`.")] = "static",
    order: Annotated[Order, typer.Option(metavar="O", help="As for `bench clustering`.")] = "shuffled",
    seed: Annotated[int, typer.Option(min=0, help="The same seed takes the same items in the same order.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Items that arrive together.")] = 256,
    samples: Annotated[
        bool, typer.Option("--samples", help="Measure samples of 50, 150 and 500 items of each set too.")
    ] = False,
    mix: Annotated[
        bool, typer.Option("--mix", help="Stream all sets together into one project; score each in it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how well the texts of many labelled sets are clustered, in one table.

    A list is a .toml with a table for each set, whose paths are relative to the list:

    `[tickets]`, `texts = "tickets.csv"`, and where they differ `text_column`, `title_column`, `label_column`.

    The scores are B-cubed: F1 as first assigned and after the last round, with the precision, recall and F0.5 of the
    latter; beside them F1 of the best cut of a batch dendrogram, chosen by the labels, and of every item alone; then
    the number of themes, with F1, precision and recall. A cluster in no theme counts as a theme of its own.

    `soulcaster bench grouping sets/ --label-column topic --samples`

    `soulcaster bench grouping sets.toml --mix`
    """
    from soulcaster.bench.datasets import LabelledFile
    from soulcaster.bench.grouping import Options, listed, measure
    from soulcaster.cli.bench_tables import print_grouping
    from soulcaster.terminal import progress_bar

    columns = LabelledFile(text_column=text_column, title_column=title_column, label_column=label_column)
    options = Options(embedder, order, seed, batch, samples, mix)
    with progress_bar("reading", "items") as bar:
        found = list(measure(listed(sets, columns), options, bar.report))
    if as_json:
        say_json([asdict(of_set) for of_set in found])
    else:
        print_grouping(found)


@app.command()
def near(
    texts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .csv, .tsv or .jsonl with a label for each text.", show_default="demo"),
    ] = None,
    text_column: Annotated[str, typer.Option(metavar="C", help="The text.")] = "text",
    title_column: Annotated[str | None, typer.Option(metavar="C", help="A title, put before the text.")] = None,
    label_column: Annotated[str, typer.Option(metavar="C", help="The label; duplicates have the same.")] = "category",
    embedder: Annotated[
        str | None, typer.Option(metavar="E", help="As for `bench clustering`.", show_default="static")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As for `bench clustering`.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many items that have duplicates have one of them among their ten nearest.

    Nearest by meaning alone, by words alone, and by both, as `GET /feedback/{id}/near` answers.

    `soulcaster bench near --texts bugs.csv --text-column body --title-column summary --label-column duplicate`
    """
    from soulcaster.bench.datasets import LabelledFile
    from soulcaster.bench.near import measure
    from soulcaster.cli.bench_tables import print_near
    from soulcaster.terminal import progress_bar

    file = LabelledFile(texts, text_column, title_column, label_column) if texts else LabelledFile()
    with progress_bar("reading", "items") as bar:
        found = measure(file, embedder, embeddings, bar.report)
    if as_json:
        say_json(asdict(found))
    else:
        print_near(found)


@app.command()
def embedders(
    embedder: Annotated[
        list[str] | None, typer.Option(metavar="E", help="One of those in the package; repeatable.", show_default="all")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="CPU time for each length of text.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say how many texts a second each embedder in the package takes here, on one core, and its memory.

    `soulcaster bench embedders`

    `soulcaster bench embedders --embedder small --seconds 3`
    """
    from soulcaster.bench.datasets import EMBEDDERS
    from soulcaster.bench.embedders import measure
    from soulcaster.cli.bench_tables import print_embedders
    from soulcaster.terminal import progress_bar

    for name in embedder or ():
        if name not in EMBEDDERS:
            raise BadInput(f"{name!r} is no embedder in the package: give {', '.join(EMBEDDERS)}.")
    with progress_bar("measuring") as bar:
        found = measure(embedder or list(EMBEDDERS), seconds, lambda name: bar.relabel(f"measuring {name}"))
    if as_json:
        say_json([asdict(one) for one in found])
    else:
        print_embedders(found)
