"""`soulcaster bench clustering`: how well labelled items are clustered as they arrive, how fast, and how stably.

The clusterer runs in its own process (clustering_loop.py). Its clusters are compared with the labels, and with the best
that batch average linkage can do on the same vectors (oracle.py).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soulcaster.bench import Order, Shape
from soulcaster.bench.clustering_loop import Measured, drive_alone
from soulcaster.bench.datasets import Labelled, Stream, combined, embed, read_labelled, read_vectors, stream
from soulcaster.bench.oracle import MAX_ROWS, best_cut
from soulcaster.bench.progress import Report
from soulcaster.bench.scores import all_singletons, one_cluster, score
from soulcaster.dev.demo_data import FILE, LABEL_COLUMN, TEXT_COLUMN
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.errors import BadInput


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured; `texts` None is the demo data, `embedder` None the one in the package, or `embeddings`."""

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


def measure(options: Options, report: Report) -> dict[str, Any]:
    """Return all figures, as a JSON object.

    Raises:
        BadInput: a file or an option cannot be used.
    """
    data, vectors = load(options, report)
    items = stream(data, vectors, options.shape, options.order, options.seed)
    report("clustering", 0, len(items.items))
    measured = drive_alone(
        items.items, items.vectors, options.batch, lambda done: report("clustering", done, len(items.items))
    )
    report("scoring", 0, 1)
    found = figures(items, measured)
    report("scoring", 1, 1)
    return {
        "texts": str(options.texts or FILE.name),
        "embedder": str(options.embeddings or options.embedder or "static"),
        "order": options.order,
        "shape": options.shape,
        "seed": options.seed,
        "batch": options.batch,
        "left_out": data.rows_in_file - len(data.items),
        **found,
    }


def load(options: Options, report: Report) -> tuple[Labelled, Vectors]:
    """Return the items and vectors that the options name, for the shape `mixed` those of both files.

    Raises:
        BadInput: the options contradict each other, or a file cannot be read.
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
        data = read_labelled(texts or FILE, *columns, source=source)
        if embeddings is not None:
            return data, read_vectors(embeddings, data)
        return data, embed(data, options.embedder or "static", lambda done: report("embedding", done, len(data.items)))

    first = read(options.texts, options.embeddings, "bench")
    return combined(first, read(options.with_texts, options.with_embeddings, "with")) if mixed else first


def figures(items: Stream, measured: Measured) -> dict[str, Any]:
    """Return the figures of a run; names that end in `_online` are of the clusters that items joined first.

    The dendrogram's figures are None for more than `oracle.MAX_ROWS` items. Speed and a batch's time leave rounds out.
    A pause is a batch, or a round without the part that the chain does in another thread.
    """
    count = len(items.items)
    online, final = score(measured.online, items.labels), score(measured.final, items.labels)
    oracle = best_cut(items.vectors, items.labels) if count <= MAX_ROWS else None
    round_seconds = sum(measured.inline_round_seconds) + sum(done.seconds for done in measured.rounds)
    round_pauses = (done.seconds - done.decision_seconds for done in measured.rounds)
    pauses = [*measured.batch_seconds, *measured.inline_round_seconds, *round_pauses]
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
        "rounds_changed": [done.changed for done in measured.rounds],
        "rounds_changed_merges_aside": [done.changed_without_merges for done in measured.rounds],
        "items_per_s": round(count / sum(measured.batch_seconds)),
        "batch_p99_ms": round(float(np.percentile(measured.batch_seconds, 99)) * 1000, 3),
        "longest_pause_ms": round(max(pauses) * 1000, 3),
        "consolidation_s": round(round_seconds, 4),
        "consolidation_us_per_item": round(round_seconds / count * 1e6, 2),
        "resident_bytes_per_item": round(measured.resident_bytes / count),
    }
