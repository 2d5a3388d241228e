"""The figures of `soulcaster bench`, as tables and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from soulcaster.terminal import console, literal, table

if TYPE_CHECKING:
    from soulcaster.bench.embedders import EmbedderFigures
    from soulcaster.bench.fixes import FixFigures
    from soulcaster.bench.grouping import SetFigures
    from soulcaster.bench.growth import GrowthFigures
    from soulcaster.bench.intake import IntakeFigures
    from soulcaster.bench.masking import MaskingFigures
    from soulcaster.bench.near import NearFigures
    from soulcaster.bench.neighbour import NeighbourFigures
    from soulcaster.bench.pipeline import PipelineFigures
    from soulcaster.bench.pull_requests import PullRequestFigures
    from soulcaster.bench.scale import Growth
    from soulcaster.bench.web import WebFigures
    from soulcaster.bench.workers import WorkersFigures


def _numbers(title: str | Text, *columns: str, named_rows: bool = False) -> Table:
    """Return an empty table of numbers; with `named_rows` the first column is for the rows' names."""
    numbers = table(*([""] if named_rows else []), title=title)
    for column in columns:
        numbers.add_column(column, justify="right")
    return numbers


def print_pipeline(figures: "PipelineFigures") -> None:
    """Print the chain's speed beside its yardsticks."""
    title = f"{figures.items:,} items a run, {figures.cores} cores; a second:"
    runs = _numbers(title, "feed", "bytes", "chain", "of forward", "of domain", "domain")
    for run in figures.runs:
        runs.add_row(
            run.feed,
            str(run.bytes),
            f"{run.chain_per_s:,}",
            f"{run.chain_forward_ratio:.2f}",
            f"{run.chain_domain_ratio:.2f}",
            f"{run.domain_per_s:,}",
        )
    out = console()
    out.print(runs)
    out.print(f"a bare Faust agent forwards {figures.forward_per_s:,} a second")
    out.print(f"from acknowledged to visible: p50 {figures.p50_ms} ms, p99 {figures.p99_ms} ms")


def intake_json(figures: "IntakeFigures") -> Mapping[str, Any]:
    """Return the figures of the intake as a JSON object."""
    load = figures.load
    return {
        "as": load.kind,
        "worker_down": load.worker_down,
        "per_second": load.per_second,
        "seconds": load.seconds,
        "bytes": figures.post_bytes,
        **{name: value for name, value in asdict(figures).items() if name not in {"load", "post_bytes"}},
    }


def print_intake(figures: "IntakeFigures") -> None:
    """Print how posts were answered, and how fast."""
    from soulcaster.bench.intake import SLOW_MS

    answered = ", ".join(f"{status}: {count:,}" for status, count in figures.answers.items())
    slow = ", ".join(f"{second}: {count}" for second, count in figures.slow_by_second.items()) or "none"
    posts = f"{figures.posted:,} posts of {figures.post_bytes:,} bytes as {figures.load.kind}"
    out = console()
    out.print(f"{posts}, {figures.load.per_second} a second; answered {answered}")
    out.print(f"p50 {figures.p50_ms} ms, p99 {figures.p99_ms} ms, max {figures.max_ms} ms; lost: {figures.lost}")
    out.print(f"sent late by {figures.sent_late_p99_ms} ms (p99); above {SLOW_MS} ms, by the second: {slow}")


def print_fixes(figures: "FixFigures") -> None:
    """Print how long jobs take to begin and to be gone."""
    isolated = "in bubblewrap" if figures.isolated else "not isolated, because bubblewrap does not work here"
    times = _numbers(f"{figures.jobs} jobs on local, {isolated}; seconds", "p50", "p95", "slowest", named_rows=True)
    for name, spread in (
        ("from click to answer", figures.click_to_answer),
        ("from click to process started", figures.click_to_started),
        ("from click to its report that it runs", figures.click_to_reported),
        ("from answer to process started", figures.answer_to_started),
        ("from answer to its report that it runs", figures.answer_to_reported),
        ("from cancel to no process", figures.cancel_to_gone),
    ):
        times.add_row(name, *(f"{seconds:.2f}" for seconds in (spread.p50_s, spread.p95_s, spread.max_s)))
    console().print(times)


def print_pull_requests(figures: "PullRequestFigures") -> None:
    """Print how long it takes from a click to a pull request."""
    times = _numbers(f"{figures.jobs} jobs on local; seconds", "p50", "p95", "slowest", named_rows=True)
    spread = figures.click_to_pull_request
    times.add_row(
        "from click to draft pull request", *(f"{one:.2f}" for one in (spread.p50_s, spread.p95_s, spread.max_s))
    )
    console().print(times)


def print_workers(figures: "WorkersFigures") -> None:
    """Print what one worker and two workers did."""
    share = "no share of the cores" if figures.cores_each is None else f"{figures.cores_each} of a core each"
    runs = _numbers(f"{figures.items:,} items in envelopes, {figures.cores} cores, {share}", "workers", "items/s")
    for number, per_s in figures.per_s.items():
        runs.add_row(str(number), f"{per_s:,}")
    console().print(runs)
    console().print(f"two do {figures.ratio:.2f} times what one does")


def print_growth(figures: "GrowthFigures") -> None:
    """Print what an item costs at each size, and how soon a new worker is ready."""
    costs = _numbers(f"one worker, {figures.cores} cores; an item:", "items", "clusters", "CPU us", "wall us")
    for step in figures.steps:
        costs.add_row(
            f"{step.items:,}", f"{step.clusters:,}", f"{step.cpu_us_per_item:,}", f"{step.wall_us_per_item:,}"
        )
    out = console()
    out.print(costs)
    out.print(f"an item of the last step costs {figures.ratio:.2f} times what one of the first costs")
    out.print(f"a new worker is ready after {figures.ready_seconds} s, {figures.ready_cpu_seconds} s of them CPU time")


def print_web(figures: "WebFigures") -> None:
    """Print how long each page and list took."""
    title = f"{figures.clusters:,} clusters, {figures.items:,} items; {figures.requests:,} requests each; ms"
    times = _numbers(title, "p50", "p95", "slowest", "kB", named_rows=True)
    for name, one in figures.timings.items():
        milliseconds = (f"{value:.1f}" for value in (one.p50_ms, one.p95_ms, one.max_ms))
        times.add_row(name, *milliseconds, f"{one.response_bytes / 1000:,.1f}")
    out, memory = console(), figures.memory
    out.print(times)
    out.print(
        f"memory of the web server: {memory.before_mb:,} MB, at most {memory.most_mb:,} MB while {memory.readers} read "
        f"what is longest, then {memory.after_mb:,} MB"
    )


def print_neighbour(figures: "NeighbourFigures") -> None:
    """Print what a project feels of a greedy one."""
    title = f"beside {figures.connections} connections that search {figures.items:,} items; {figures.requests} requests"
    columns = ("alone p50, ms", "p99", "beside p50", "p99", "p99, times")
    times = _numbers(title, *columns, named_rows=True)
    for name, one in figures.felt.items():
        figure = (one.alone_p50_ms, one.alone_p99_ms, one.beside_p50_ms, one.beside_p99_ms)
        times.add_row(name, *(f"{value:.1f}" for value in figure), f"{one.beside_p99_ms / one.alone_p99_ms:.1f}")
    console().print(times)
    console().print(
        f"{figures.items_beside:,} items of the other project were in their clusters before the import was done"
    )


def print_scale(growth: "Growth") -> None:
    """Print what each round cost, and what the repetitions did."""
    from soulcaster.bench.scale import BATCH, DIMENSIONS

    title = f"one core, batches of {BATCH}, {DIMENSIONS} dimensions; every item a micro-cluster"
    columns = ("items", "micro-clusters", "items/s", "pause, ms", "round, µs an item", "bytes a micro-cluster")
    rounds = _numbers(title, *columns)
    for step in growth.steps:
        rounds.add_row(
            f"{step.items:,}",
            f"{step.groups:,}",
            f"{step.items_per_s:,}",
            f"{step.pause_ms:.1f}",
            f"{step.consolidation_us_per_item:.1f}",
            f"{step.resident_bytes_per_group:,}",
        )
    out = console()
    out.print(rounds)
    out.print(f"when every item comes again: {growth.resident_bytes_per_group:,} bytes a micro-cluster of two items,")
    out.print(f"{growth.resident_bytes_per_item:,} bytes for each further item")


def print_masking(figures: "MaskingFigures", *, with_errors: bool) -> None:
    """Print precision and recall of all texts, of each kind and of each section."""
    columns = ("marked", "masked", "right", "precision", "recall")
    found = _numbers(f"{figures.texts:,} texts", *columns, named_rows=True)
    for of in (figures.every, *figures.kinds, *figures.sections):
        shares = ("" if share is None else f"{share:.3f}" for share in (of.precision, of.recall))
        found.add_row(literal(of.name), f"{of.marked:,}", f"{of.masked:,}", f"{of.right:,}", *shares)
    out = console()
    out.print(found)
    for section, masked in figures.errors if with_errors else ():
        out.print(literal(f"{section}: {masked}"))


def print_clustering(found: Mapping[str, Any]) -> None:
    """Print the scores beside their yardsticks, then speed, stability and memory."""
    out = console()
    out.print(_scores_table(found))
    out.print("Precision, recall and F1 are B-cubed. The best cut is a batch dendrogram's, chosen by the labels.")
    out.print(f"{found['items_per_s']:,} items a second on one core, without rounds and embedding")
    out.print(
        f"a batch of {found['batch']:,}: p99 {found['batch_p99_ms']:.1f} ms; "
        f"longest pause {found['longest_pause_ms']:.1f} ms"
    )
    out.print(f"rounds: {found['consolidation_s']:.2f} s in all, {found['consolidation_us_per_item']:.1f} µs an item")
    for without, shares in (("", "rounds_changed"), (", without merges", "rounds_changed_merges_aside")):
        if found[shares]:
            listed = " ".join(f"{share:.1%}" for share in found[shares])
            out.print(f"items whose cluster id each round changed{without}: {listed}")
    out.print(f"memory: about {found['resident_bytes_per_item']:,} bytes an item")


def _scores_table(found: Mapping[str, Any]) -> Table:
    title = f"{found['items']:,} items of {found['labels']:,} labels ({found['shape']}, {found['order']}), "
    title += f"embedded by {found['embedder']}"
    columns = ("clusters", "precision", "recall", "F1", "F0.5", "of best", "V", "ARI")
    scores = _numbers(literal(title), *columns, named_rows=True)
    best_f1 = found["oracle_bcubed_f1"]

    def add(name: str, of: Mapping[str, Any]) -> None:
        f1 = of["bcubed_f1"]
        of_best = best_f1 and f1 / best_f1
        precise, whole = of["bcubed_precision"], of["bcubed_recall"]
        values = (precise, whole, f1, of["bcubed_f05"], of_best, of["v_measure"], of["ari"])
        scores.add_row(name, f"{of['clusters']:,}", *("" if value is None else f"{value:.3f}" for value in values))

    add("at first", {name.removesuffix("_online"): value for name, value in found.items() if name.endswith("_online")})
    add("at last", found)
    add("themes", found["themes"])
    if best_f1 is not None:
        scores.add_row("best cut", f"{found['oracle_clusters']:,}", "", "", f"{best_f1:.3f}", "", "1.000")
    add("each alone", found["all_singletons"])
    add("all in one", found["one_cluster"])
    for texts, of_set in zip(found["texts"], found["sets"], strict=True) if found["sets"] else ():
        add(f"{texts}, at first", of_set["first"])
        add(f"{texts}, at last", of_set["last"])
        add(f"{texts}, themes", of_set["themes"])
    return scores


def print_grouping(found: Sequence["SetFigures"]) -> None:
    """Print a row for each set."""
    clusters = ("items", "labels", "clusters", "first", "last", "P", "R", "F0.5", "best cut", "each alone")
    columns = (*clusters, "themes", "their F1", "P", "R")
    sets = _numbers("B-cubed F1 of clusters, and of themes", *columns, named_rows=True)
    for one in found:
        last, themes = one.last, one.themes
        f1 = (one.first.bcubed_f1, last.bcubed_f1, last.bcubed_precision, last.bcubed_recall, last.bcubed_f05)
        values = (*f1, one.oracle_f1, one.alone_f1)
        counts = (one.items, one.labels, last.clusters)
        sets.add_row(
            literal(one.name),
            *(f"{count:,}" for count in counts),
            *("" if value is None else f"{value:.3f}" for value in values),
            f"{themes.clusters:,}",
            *(f"{value:.3f}" for value in (themes.bcubed_f1, themes.bcubed_precision, themes.bcubed_recall)),
        )
    console().print(sets)


def print_near(found: "NearFigures") -> None:
    """Print how many known duplicates are near."""
    numbers = _numbers(
        f"{found.asked:,} of {found.items:,} items have duplicates; one among the ten nearest", "by", "of"
    )
    for name in ("meaning", "words", "both"):
        numbers.add_row(name, f"{getattr(found, name):.3f}")
    console().print(numbers)


def print_embedders(found: Sequence["EmbedderFigures"]) -> None:
    """Print a row for each embedder."""
    from soulcaster.bench.embedders import LENGTHS

    columns = ("vector", *(f"texts of {length}" for length in LENGTHS), "MB")
    numbers = _numbers("texts a second of CPU, one thread", *columns, named_rows=True)
    for one in found:
        speeds = (f"{speed:,.0f}" for speed in (one.short_per_s, one.long_per_s))
        numbers.add_row(one.embedder, f"{one.dimensions}", *speeds, f"{one.megabytes:,}")
    console().print(numbers)
