"""`soulcaster bench clustering`: how well labelled items are clustered as they arrive, how fast, and how stably.

The clusterer runs in its own process (clustering_loop.py). Its clusters are compared with the labels, and with the best
that batch average linkage can do on the same vectors (oracle.py).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soulcaster.bench import Order, Shape
from soulcaster.bench.clustering_loop import Measured, drive_alone
from soulcaster.bench.datasets import (
    STATIC,
    Labelled,
    LabelledFile,
    OfSet,
    Stream,
    combined,
    embed,
    read_labelled,
    read_vectors,
    stream,
)
from soulcaster.bench.oracle import MAX_ROWS, best_cut
from soulcaster.bench.progress import Report
from soulcaster.bench.scores import Scores, all_singletons, one_cluster, score
from soulcaster.dev.demo_data import FILE
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.errors import BadInput


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured; `embedder` None is the one in the package, or `embeddings`.

    Several files are streamed together; `embeddings` then has one for each.
    """

    files: tuple[LabelledFile, ...] = (LabelledFile(),)
    embedder: str | None = None
    embeddings: tuple[Path, ...] = ()
    order: Order = "arrival"
    shape: Shape = "as-is"
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
        "texts": [_name(file) for file in options.files],
        "embedder": ", ".join(map(str, options.embeddings)) or options.embedder or STATIC,
        "order": options.order,
        "shape": options.shape,
        "seed": options.seed,
        "batch": options.batch,
        "left_out": data.rows_in_file - len(data.items),
        **found,
    }


def _name(file: LabelledFile) -> str:
    return FILE.name if file.path == FILE else str(file.path)


def load(options: Options, report: Report) -> tuple[Labelled, Vectors]:
    """Return the items and vectors that the options name.

    Raises:
        BadInput: the options contradict each other, or a file cannot be read.
    """
    if options.embedder and options.embeddings:
        raise BadInput("Give --embedder or --embeddings, not both.")
    if options.embeddings and len(options.embeddings) != len(options.files):
        count, files = len(options.embeddings), len(options.files)
        raise BadInput(
            f"{count} files of vectors for {files} of texts: give --embeddings once for each, in this order."
        )
    sets = []
    for number, file in enumerate(options.files):
        data = read_labelled(file, source=f"bench-{number}")
        if options.embeddings:
            sets.append((data, read_vectors(options.embeddings[number], data)))
        else:
            sets.append(embed(data, options.embedder or STATIC, _reported(report, len(data.items))))
    return combined(sets) if len(sets) > 1 else sets[0]


def _reported(report: Report, count: int) -> Callable[[int], None]:
    return lambda done: report("embedding", done, count)


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
        "themes": asdict(score(measured.themes, items.labels)),
        "sets": [asdict(of_set) for of_set in _sets(items, measured)],
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


@dataclass(frozen=True, slots=True)
class SetScores:
    """The scores of one of several sets; items of other sets count where they are in its clusters."""

    first: Scores
    last: Scores
    themes: Scores


def _sets(items: Stream, measured: Measured) -> list[SetScores]:
    """Return the scores of each set in order; none if there is only one."""
    return set_scores(items, measured) if isinstance(items.labels[0], OfSet) else []


def levels(measured: Measured) -> tuple[list[int], list[int], list[int]]:
    """Return the clusters of the items as first assigned, those at the end, and the themes at the end."""
    return measured.online, measured.final, measured.themes


def set_scores(items: Stream, measured: Measured) -> list[SetScores]:
    """Return the scores of each set of a combined stream, in order."""
    number = np.array([label.number for label in items.labels if isinstance(label, OfSet)])
    found = []
    for one in range(int(number.max()) + 1):
        rows = np.flatnonzero(number == one)
        found.append(SetScores(*(score(clusters, items.labels, rows) for clusters in levels(measured))))
    return found
