"""Choosing the merge threshold: the linkage from which on a round makes two parts one. No labels are needed.

docs/clustering.md ("The merge threshold") has the formulas and the reasons for them. The numbers were chosen once, to
do well on many data sets, embedders and shapes at once; no label and no text domain is in them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soulcaster.domain.clustering.consolidation.linkage import (
    Dendrogram,
    RoundConstraints,
    average_linkage,
    sums_by_part,
)
from soulcaster.domain.clustering.features.vectors import Flags, Slots, Vectors

HIGHEST = 0.97
"""The threshold where nearly everything is alone."""

FAR = 5.0
"""Two micro-clusters are alike if they are more than this number of spreads above the median similarity."""

FARTHEST = 0.9
"""The similarity from which on two micro-clusters are always alike."""

TRIED = (0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)
"""The thresholds whose clusters are compared."""

SHARPNESS = 0.05
"""The difference in separation that makes a tried threshold count e times as much."""

UNSURE, SURE = 0.65, 0.7
"""Up to the first separation the size of topics counts in full, from the second on not at all."""

GRANULARITY: Mapping[str, float] = {"finer": 0.12, "fine": 0.06, "auto": 0.0, "broad": -0.06, "broader": -0.12}
"""What a person's choice adds to the threshold."""

_EXTREME = 0.1
"""The share of separations, at each end, that count no more than the next ones (winsorized)."""

_SAMPLE = 512
"""Micro-clusters that are compared with each other, for what is usual, and with all parts."""

_COMPARED_WITH_ALL = 256
"""Micro-clusters that are compared with all others, for how many are alike."""

_CHUNK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class BestSeparation:
    """The threshold at which parts are best separated, and their separation there, less two standard errors."""

    threshold: float
    at_least: float


def merge_threshold(
    smooth: Vectors, counts: Slots, graph: Slots, worded: Flags, constraints: RoundConstraints
) -> tuple[float, Dendrogram]:
    """Return the threshold, judged by the micro-clusters that have words, and what is merged down to it and further."""
    wish = GRANULARITY[constraints.granularity]
    merges = average_linkage(smooth, counts, graph, TRIED[-1] + min(0.0, wish), constraints)
    by_size = min(HIGHEST, 1.61 - 0.6 * math.log(micro_clusters_per_topic(smooth[worded])))
    best = best_separation(smooth, merges, worded)
    unsure = min(1.0, max(0.0, (SURE - best.at_least) / (SURE - UNSURE)))
    return best.threshold + unsure * max(0.0, by_size - best.threshold) + wish, merges


def micro_clusters_per_topic(smooth: Vectors) -> float:
    """Return about how many micro-clusters a topic has; 1 where none are alike."""
    n = len(smooth)
    if n < 2:
        return 1.0
    random = np.random.default_rng(n)
    sample = smooth[_sample(n, _SAMPLE, random)]
    usual = (sample @ sample.T)[~np.tri(len(sample), dtype=np.bool_)]
    low, middle = np.arctanh(np.clip(np.quantile(usual, [0.16, 0.5], overwrite_input=True), -FARTHEST, FARTHEST))
    far = min(FARTHEST, math.tanh(middle + FAR * (middle - low)))
    compared = smooth[_sample(n, _COMPARED_WITH_ALL, random)]
    alike = np.zeros(len(compared), np.int64)
    for at in range(0, n, _CHUNK_ROWS):
        alike += (compared @ smooth[at : at + _CHUNK_ROWS].T > far).sum(1)
    return float(len(compared) / (1 / np.maximum(alike, 1)).sum())


def best_separation(smooth: Vectors, merges: Dendrogram, worded: Flags) -> BestSeparation:
    """Return the mean of the tried thresholds, each weighted by exp(separation / SHARPNESS)."""
    judged = np.flatnonzero(worded)
    if not len(judged):
        return BestSeparation(TRIED[0], 0.0)
    n = len(judged)
    each = separations(smooth, merges, judged[_sample(n, _SAMPLE, np.random.default_rng(n))], TRIED)
    mean = each.mean(1)
    weight = np.exp((mean - mean.max()) / SHARPNESS)
    best = each[mean.argmax()]
    usual = np.clip(best, *np.quantile(best, [_EXTREME, 1 - _EXTREME]))  # a few near-copies are not what is usual
    error = float(usual.std()) / math.sqrt(len(usual))
    return BestSeparation(float(weight @ np.array(TRIED) / weight.sum()), float(usual.mean()) - 2 * error)


def separations(smooth: Vectors, merges: Dendrogram, sample: Slots, thresholds: Sequence[float]) -> Vectors:
    """Return margin plus silhouette of the sampled micro-clusters at each threshold (a row); zero for one alone.

    Thresholds are given from the highest on. A part is compared once, for all thresholds between which it is the same.
    """
    n = len(smooth)
    rows, own = smooth[sample], merges.start[sample]
    sums = sums_by_part(smooth, np.ones(n, np.int64), merges.start)
    size = np.bincount(merges.start, minlength=n)
    since = np.zeros(n, np.int64)
    inside, beside = np.full((2, len(thresholds), len(sample)), -np.inf, np.float32)

    def compare(parts: Slots, to: int) -> None:
        """Compare parts that exist up to, but not at, a threshold."""
        for at in np.unique(since[parts]).tolist():
            same = parts[since[parts] == at]
            for first in range(0, len(same), _CHUNK_ROWS):
                chunk = same[first : first + _CHUNK_ROWS]
                total = rows @ sums[chunk].T
                where = np.searchsorted(chunk, own).clip(0, len(chunk) - 1)
                mine = np.flatnonzero((chunk[where] == own) & (size[own] > 1))
                inside[at:to, mine] = (total[mine, where[mine]] - 1) / (size[own[mine]] - 1)
                total /= size[chunk]
                total[mine, where[mine]] = -np.inf
                beside[at:to] = np.maximum(beside[at:to], total.max(1))

    above = math.inf
    for to, threshold in enumerate(thresholds):
        merged = merges.between(threshold, above)
        if to:
            compare(np.unique(merged), to)
        for into, gone in merged.tolist():
            sums[into] += sums[gone]
            size[into] += size[gone]
            size[gone] = 0
        since[merged] = to
        own = merges.parts(threshold)[sample]
        above = threshold
    compare(np.flatnonzero(size), len(thresholds))
    known = np.isfinite(inside) & np.isfinite(beside)
    margin = np.subtract(inside, beside, out=np.zeros_like(inside), where=known)
    separation: Vectors = margin + margin / np.maximum(1 - np.minimum(inside, beside), 1e-6)
    return separation


def _sample(n: int, most: int, random: np.random.Generator) -> Slots:
    """Return at most `most` of n positions, ascending."""
    return np.arange(n) if n <= most else np.sort(random.choice(n, most, replace=False))
