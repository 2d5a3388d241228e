"""The yardstick: batch average linkage, cut at the threshold that is best by the labels.

It sees all items at once and gets one thing from the labels, the threshold. An online clusterer on the same vectors
that comes near it has little left to gain from its rules; the rest depends on the vectors. It is not an upper bound:
more than one threshold, or another linkage, may beat it.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage

from soulcaster.bench.scores import codes, f_score
from soulcaster.errors import BadInput

MAX_ROWS = 20_000
"""More rows are refused: 16 bytes for each pair are 3.2 GB at this number."""

_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Oracle:
    """The best cut. Clusters whose items have a mean cosine of `threshold` or more are one; None: nothing is merged."""

    bcubed_f1: float
    threshold: float | None
    clusters: int


def best_cut(vectors: npt.NDArray[np.float32], gold: Sequence[Hashable]) -> Oracle:
    """Return the cut with the highest B-cubed F1 of all cuts, including the one with every item alone.

    `vectors` are unit rows, shape (len(gold), dimensions), compared without any change.

    Raises:
        BadInput: there are more than `MAX_ROWS` rows.
    """
    if len(vectors) > MAX_ROWS:
        raise BadInput(f"{len(vectors):,} items are too many for a dendrogram; it takes {MAX_ROWS:,}.")
    if len(vectors) < 2:
        return Oracle(1.0, None, len(vectors))
    merges = linkage(_distances(vectors), "average")
    pairs = merges[:, :2].astype(np.int64).tolist()
    return _best(pairs, merges[:, 2], codes(gold).tolist())


def _distances(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return 1 - cosine of every pair i < j, row after row, as scipy expects it; the full square is never in memory."""
    n = len(vectors)
    condensed = np.empty(n * (n - 1) // 2, np.float64)
    at = 0
    for start in range(0, n, _BLOCK_ROWS):
        block = 1.0 - vectors[start : start + _BLOCK_ROWS] @ vectors[start:].T
        for row in range(len(block)):
            rest = block[row, row + 1 :]
            condensed[at : at + len(rest)] = rest
            at += len(rest)
    return np.maximum(condensed, 0.0, out=condensed)  # rounding may put equal rows slightly below zero


def _best(pairs: Sequence[Sequence[int]], heights: npt.NDArray[np.float64], labels: Sequence[int]) -> Oracle:
    """Walk the merges from the lowest up, and update B-cubed's two sums (see scores.py).

    Joining clusters of a and b items of a label adds 2ab to the squares of its cell. The smaller counter is added to
    the larger, so that all merges together touch each item at most log2(n) times.
    """
    n = len(labels)
    of_label = Counter(labels)
    counters = {item: {label: 1} for item, label in enumerate(labels)}
    sizes = dict.fromkeys(range(n), 1)
    squares = dict.fromkeys(range(n), 1)
    precision = float(n)
    recall = float(sum(1 / of_label[label] for label in labels))
    best = Oracle(f_score(precision / n, recall / n), None, n)
    for step, (one, other) in enumerate(pairs):
        large, small = counters.pop(one), counters.pop(other)
        if len(large) < len(small):
            large, small = small, large
        both = 0
        for label, count in small.items():
            had = large.get(label, 0)
            both += had * count
            recall += 2 * had * count / of_label[label]
            large[label] = had + count
        new = n + step
        counters[new] = large
        sizes[new] = sizes[one] + sizes[other]
        squares[new] = squares[one] + squares[other] + 2 * both
        precision += squares[new] / sizes[new] - squares[one] / sizes[one] - squares[other] / sizes[other]
        if step + 1 < len(pairs) and heights[step + 1] == heights[step]:
            continue  # no threshold lies between merges of one height
        f1 = f_score(precision / n, recall / n)
        if f1 > best.bcubed_f1:
            best = Oracle(f1, 1.0 - float(heights[step]), n - 1 - step)
    return best
