"""How well clusters agree with labels: B-cubed, V-measure, adjusted Rand index.

B-cubed (Bagga and Baldwin 1998; Amigó et al. 2009): an item's precision is the share of its cluster that has its label,
its recall the share of its label that is in its cluster, the item itself counted in both; precision and recall are
the means over all items, F1 is the harmonic mean of the two means.
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
    v_measure: float
    ari: float
    clusters: int


def score(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> Scores:
    """Return the scores of clusters, one for each item, against labels, one for each item, in the same order.

    Raises:
        ValueError: there are no items, or the numbers of clusters and labels differ.
    """
    clusters, labels = codes(predicted), codes(gold)
    precision, recall, f1 = bcubed(clusters, labels)
    return Scores(
        precision,
        recall,
        f1,
        float(v_measure_score(labels, clusters)),
        float(adjusted_rand_score(labels, clusters)),
        int(clusters.max()) + 1,
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


def bcubed(clusters: Codes, labels: Codes) -> tuple[float, float, float]:
    """Return B-cubed precision, recall and F1 of two arrays of codes.

    Items of one cluster and one label all have the same precision and recall, so the sum is over such cells: a cell of
    n items adds n * n / (size of its cluster) and n * n / (size of its label).

    Raises:
        ValueError: there are no items, or the lengths differ.
    """
    if not len(clusters) or len(clusters) != len(labels):
        raise ValueError(f"{len(clusters)} items have a cluster and {len(labels)} a label")
    width = int(labels.max()) + 1
    cells, counts = np.unique(clusters * width + labels, return_counts=True)
    squares = (counts * counts).astype(np.float64)
    precision = float((squares / np.bincount(clusters)[cells // width]).sum()) / len(labels)
    recall = float((squares / np.bincount(labels)[cells % width]).sum()) / len(labels)
    return precision, recall, harmonic_mean(precision, recall)


def harmonic_mean(precision: float, recall: float) -> float:
    """Return F1; neither is 0, because every item shares its cluster and its label with itself."""
    return 2 * precision * recall / (precision + recall)
