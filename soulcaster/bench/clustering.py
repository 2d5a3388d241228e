"""`soulcaster bench clustering`: how well labelled items are clustered as they come, how fast, and how steadily.

The clusterer runs as a process of its own (clustering_loop.py); here its answers are held against the labels, and
against the best that batch average linkage can do on the same vectors (oracle.py).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from soulcaster.bench import Order, Shape
from soulcaster.bench.clustering_loop import Driven, drive_alone
from soulcaster.bench.datasets import Labelled, Stream, embed, read_labelled, read_vectors, stream, together
from soulcaster.bench.feeds import DEMO
from soulcaster.bench.oracle import MOST_ROWS, best_cut
from soulcaster.bench.scores import all_singletons, one_cluster, score
from soulcaster.domain.clustering.vectors import Vectors
from soulcaster.errors import BadInput

TEXT_COLUMN, LABEL_COLUMN = "text", "category"
"""Of the demo data, and what is looked for in other files when nobody says."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured on what; `texts` None is the demo data, `embedder` None the shipped one or `embeddings`."""

    texts: Path | None = None
    text_column: str = TEXT_COLUMN
    title_column: str | None = None
    label_column: str = LABEL_COLUMN
    embedder: str | None = None
    embeddings: Path | None = None
    order: Order = "arrival"
    shape: Shape = "as-is"
    with_texts: Path | None = None
    with_embeddings: Path | None = None
    seed: int = 0
    batch: int = 100


Tell = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is, and how much there is."""


def run(options: Options, tell: Tell) -> dict[str, Any]:
    """Return all figures.

    Raises:
        BadInput: a file or an option cannot be used.
    """
    data, vectors = load(options, tell)
    items = stream(data, vectors, options.shape, options.order, options.seed)
    tell("clustering", 0, len(items.items))
    driven = drive_alone(
        items.items, items.vectors, options.batch, lambda done: tell("clustering", done, len(items.items))
    )
    tell("scoring", 0, 1)
    found = figures(items, driven)
    tell("scoring", 1, 1)
    return {
        "texts": str(options.texts or DEMO.name),
        "embedder": str(options.embeddings or options.embedder or "static"),
        "order": options.order,
        "shape": options.shape,
        "seed": options.seed,
        "batch": options.batch,
        "left_out": data.rows_in_file - len(data.items),
        **found,
    }


def load(options: Options, tell: Tell) -> tuple[Labelled, Vectors]:
    """Return the items and vectors the options name, those of both files for the shape `mixed`.

    Raises:
        BadInput: they cannot be had.
    """
    if options.embedder and options.embeddings:
        raise BadInput("Give --embedder or --embeddings, not both.")
    mixed = options.shape == "mixed"
    if not mixed and (options.with_texts or options.with_embeddings):
        raise BadInput("--with and --with-embeddings are for --shape mixed.")
    if mixed and bool(options.embeddings) != bool(options.with_embeddings):
        raise BadInput("Mixed sets need vectors of one kind: give --embeddings and --with-embeddings, or neither.")

    def read(texts: Path | None, embeddings: Path | None, source: str) -> tuple[Labelled, Vectors]:
        columns = options.text_column, options.title_column, options.label_column
        if texts is None and source == "with":
            columns = TEXT_COLUMN, None, LABEL_COLUMN
        data = read_labelled(texts or DEMO, *columns, source=source)
        if embeddings is not None:
            return data, read_vectors(embeddings, data)
        return data, embed(data, options.embedder or "static", lambda done: tell("embedding", done, len(data.items)))

    first = read(options.texts, options.embeddings, "bench")
    return together(first, read(options.with_texts, options.with_embeddings, "with")) if mixed else first


def figures(items: Stream, driven: Driven) -> dict[str, Any]:
    """Return what a run is worth; names that end in `_online` are of the clusters items were first given.

    The dendrogram's are None for more than `oracle.MOST_ROWS` items. Speed and a batch's time are without
    consolidation; a pause is a batch or a consolidation, less what of it another thread does.
    """
    count = len(items.items)
    online, final = score(driven.online, items.labels), score(driven.final, items.labels)
    oracle = best_cut(items.vectors, items.labels) if count <= MOST_ROWS else None
    consolidated = sum(driven.on_the_way) + sum(done.seconds for done in driven.consolidations)
    apart = (done.seconds - done.aside for done in driven.consolidations)
    pauses = [*driven.batches, *driven.on_the_way, *apart]
    return {
        "items": count,
        "labels": len(set(items.labels)),
        **{f"{name}_online": value for name, value in asdict(online).items()},
        **asdict(final),
        "oracle_bcubed_f1": oracle and oracle.bcubed_f1,
        "oracle_threshold": oracle and oracle.threshold,
        "oracle_clusters": oracle and oracle.clusters,
        "oracle_ratio_online": oracle and online.bcubed_f1 / oracle.bcubed_f1,
        "oracle_ratio": oracle and final.bcubed_f1 / oracle.bcubed_f1,
        "all_singletons": asdict(all_singletons(items.labels)),
        "one_cluster": asdict(one_cluster(items.labels)),
        "rounds_changed": [done.changed for done in driven.consolidations],
        "rounds_changed_merges_aside": [done.merges_aside for done in driven.consolidations],
        "items_per_s": round(count / sum(driven.batches)),
        "batch_p99_ms": round(float(np.percentile(driven.batches, 99)) * 1000, 3),
        "longest_pause_ms": round(max(pauses) * 1000, 3),
        "consolidation_s": round(consolidated, 4),
        "consolidation_us_per_item": round(consolidated / count * 1e6, 2),
        "resident_bytes_per_item": round(driven.resident_bytes / count),
    }


def main(options: Options, as_json: bool) -> None:
    """Measure and print: tables, or JSON."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=total)

        found = run(options, tell)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))  # noqa: T201  the result
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    out = Console()
    table = Table(
        title=f"{found['items']:,} items of {found['labels']:,} labels ({found['shape']}, {found['order']}), "
        f"embedded by {escape(found['embedder'])}"
    )
    table.add_column()
    for column in ("clusters", "precision", "recall", "F1", "of best", "V", "ARI"):
        table.add_column(column, justify="right")

    def row(name: str, scores: dict[str, Any]) -> None:
        f1, best = scores["bcubed_f1"], found["oracle_bcubed_f1"]
        shares = [scores["bcubed_precision"], scores["bcubed_recall"], f1, best and f1 / best]
        shares += [scores["v_measure"], scores["ari"]]
        table.add_row(name, f"{scores['clusters']:,}", *("" if s is None else f"{s:.3f}" for s in shares))

    row("at first", {name.removesuffix("_online"): v for name, v in found.items() if name.endswith("_online")})
    row("at last", found)
    if found["oracle_bcubed_f1"] is not None:
        best = f"{found['oracle_bcubed_f1']:.3f}"
        table.add_row("best cut", f"{found['oracle_clusters']:,}", "", "", best, "1.000")
    row("each alone", found["all_singletons"])
    row("all in one", found["one_cluster"])
    out.print(table)
    out.print("Precision, recall and F1 are B-cubed. The best cut is a batch dendrogram's, chosen by the labels.")
    out.print(f"{found['items_per_s']:,} items a second on one core, consolidation and embedding left out")
    out.print(
        f"a batch of {found['batch']:,}: p99 {found['batch_p99_ms']:.1f} ms; "
        f"longest pause {found['longest_pause_ms']:.1f} ms"
    )
    out.print(
        f"consolidation: {found['consolidation_s']:.2f} s in all, {found['consolidation_us_per_item']:.1f} µs an item"
    )
    for name, shares in (("", "rounds_changed"), (", merges aside", "rounds_changed_merges_aside")):
        if found[shares]:
            listed = " ".join(f"{share:.1%}" for share in found[shares])
            out.print(f"items whose id each consolidation changed{name}: {listed}")
    out.print(f"memory: about {found['resident_bytes_per_item']:,} bytes an item")
