"""How well clusters agree with labels: B-cubed, V-measure, adjusted Rand index.

B-cubed (Bagga and Baldwin 1998; Amigó et al. 2009): an item's precision is the share of its cluster that has its label,
its recall the share of its label that is in its cluster, the item itself counted in both; precision and recall are
the means over all items, F1 is the harmonic mean of the two means; F0.5 is the weighted one in which precision counts
double, because a wrong merge hides a problem and a missed one only shows it twice.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_rand_score, v_measure_score

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a clustering against labels; all but `clusters` are at most 1."""

    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    bcubed_f05: float
    v_measure: float
    ari: float
    clusters: int


def score(
    predicted: Sequence[Hashable], gold: Sequence[Hashable], rows: npt.NDArray[np.int64] | slice = slice(None)
) -> Scores:
    """Return the scores of clusters, one for each item, against labels, one for each item, in the same order.

    `rows` are the items that are scored; the others count where they are in the same cluster.

    Raises:
        ValueError: there are no items, or the numbers of clusters and labels differ.
    """
    clusters, labels = codes(predicted), codes(gold)
    precision, recall = bcubed(clusters, labels, rows)
    return Scores(
        precision,
        recall,
        f_score(precision, recall),
        f_score(precision, recall, beta=0.5),
        float(v_measure_score(labels[rows], clusters[rows])),
        float(adjusted_rand_score(labels[rows], clusters[rows])),
        len(np.unique(clusters[rows])),
    )


def all_singletons(gold: Sequence[Hashable]) -> Scores:
    """Return the scores of every item alone: the baseline where most labels have one item."""
    return score(range(len(gold)), gold)


def one_cluster(gold: Sequence[Hashable]) -> Scores:
    """Return the scores of all items in one cluster: the baseline where few labels have most of the items."""
    return score([0] * len(gold), gold)


def codes(of: Sequence[Hashable]) -> Codes:
    """Return a code from 0 on for each value, by first appearance, shape (len(of),)."""
    known: dict[Hashable, int] = {}
    return np.fromiter((known.setdefault(one, len(known)) for one in of), np.int64, len(of))


def bcubed(clusters: Codes, labels: Codes, rows: npt.NDArray[np.int64] | slice = slice(None)) -> tuple[float, float]:
    """Return B-cubed precision and recall of two arrays of codes, as means over all items or over `rows`.

    Raises:
        ValueError: there are no items, or the lengths differ.
    """
    if not len(clusters) or len(clusters) != len(labels):
        raise ValueError(f"{len(clusters)} items have a cluster and {len(labels)} a label")
    width = int(labels.max()) + 1
    _, cell, counts = np.unique(clusters * width + labels, return_inverse=True, return_counts=True)
    shared = counts[cell]
    precision = (shared / np.bincount(clusters)[clusters])[rows].mean()
    recall = (shared / np.bincount(labels)[labels])[rows].mean()
    return float(precision), float(recall)


def f_score(precision: float, recall: float, beta: float = 1.0) -> float:
    """Return F of a beta; neither is 0, because every item shares its cluster and its label with itself."""
    return (1 + beta * beta) * precision * recall / (beta * beta * precision + recall)
