"""Choosing the merge threshold: the linkage from which on a round makes two parts one. No labels are needed.

How fine topics are shows in how well parts are separated at two cuts, a tight one that leaves near-copies together and
a loose one that makes large parts, and in how many micro-clusters a topic has. docs/clustering.md ("The merge
threshold") has the reasons, docs/clustering-figures.md says how the numbers were chosen; no label and no text domain is
in them.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from soulcaster.domain.clustering.consolidation.linkage import Dendrogram, sums_by_part
from soulcaster.domain.clustering.features.vectors import Slots, Vectors

LOWEST, HIGHEST = 0.4, 0.97
"""The bounds of the threshold: below the lowest, most of what is merged is wrong; the highest merges near-copies."""

TIGHT, LOOSE = 0.8, 0.3
"""The two cuts whose parts are looked at."""

USUAL_TIGHT, USUAL_LOOSE = 0.58, 0.38
"""The silhouettes of the parts of each cut in a usual project: what is assumed until there is evidence."""

EVIDENCE = 10
"""The number of micro-clusters that say as much as what is assumed."""

BASE, PER_RATIO, PER_LN_SIZE, PER_LN_ALL, PER_NEAREST = -0.31, 0.45, -0.2, 0.08, 0.4
"""The threshold is BASE + PER_RATIO * tight / loose + PER_LN_SIZE * ln m + PER_LN_ALL * ln n + PER_NEAREST * near."""

FAR = 5.0
"""Two micro-clusters are alike if they are more than this number of spreads above the median similarity."""

FARTHEST = 0.9
"""The similarity from which on two micro-clusters are always alike."""

GRANULARITY: Mapping[str, float] = {"finer": 0.12, "fine": 0.06, "auto": 0.0, "broad": -0.06, "broader": -0.12}
"""What a person's choice adds to the threshold."""

_SAMPLE = 1024
"""Micro-clusters that are compared with all parts, and with each other for what is usual."""

_COMPARED_WITH_ALL = 512
"""Micro-clusters that are compared with all others, for how many are alike."""

_CHUNK_ROWS = 4096

_LEAST = 0.05
"""The least silhouette that a ratio is taken to."""


def merge_threshold(smooth: Vectors, merges: Dendrogram, nearest: Vectors, judged: Slots) -> float:
    """Return the threshold of texts whose background has been subtracted, without anybody's wish.

    `smooth` are all micro-clusters, `merges` what is merged of them down to `LOOSE`, `nearest` the similarity of each
    to its nearest one; `judged` are those that have words.
    """
    n = len(judged)
    tight, loose = silhouettes(smooth, merges, _sample(judged, _SAMPLE), (TIGHT, LOOSE))
    ratio = estimated(tight, USUAL_TIGHT) / max(_LEAST, estimated(loose, USUAL_LOOSE))
    size = micro_clusters_per_topic(smooth[judged])
    near = float(nearest[judged].mean()) if n else 0.0
    seen = (
        BASE + PER_RATIO * ratio + PER_LN_SIZE * math.log(size) + PER_LN_ALL * math.log(max(1, n)) + PER_NEAREST * near
    )
    # A few micro-clusters say little, and a wrong merge is worse than a missed one.
    return (n * min(HIGHEST, max(LOWEST, seen)) + EVIDENCE * HIGHEST) / (n + EVIDENCE)


def micro_clusters_per_topic(smooth: Vectors) -> float:
    """Return about how many micro-clusters a topic has; 1 where none are alike."""
    n = len(smooth)
    if n < 2:
        return 1.0
    every = np.arange(n)
    sample = smooth[_sample(every, _SAMPLE)]
    usual = (sample @ sample.T)[~np.tri(len(sample), dtype=np.bool_)]
    low, middle = np.arctanh(np.clip(np.quantile(usual, [0.16, 0.5], overwrite_input=True), -FARTHEST, FARTHEST))
    far = min(FARTHEST, math.tanh(middle + FAR * (middle - low)))
    compared = smooth[_sample(every, _COMPARED_WITH_ALL)]
    alike = np.zeros(len(compared), np.int64)
    for at in range(0, n, _CHUNK_ROWS):
        alike += np.count_nonzero(compared @ smooth[at : at + _CHUNK_ROWS].T > far, axis=1)
    return float(len(compared) / (1 / np.maximum(alike, 1)).sum())


def estimated(silhouettes: Vectors, usual: float) -> float:
    """Return the mean of silhouettes (NaN: none), the nearer to the usual one the fewer there are."""
    known = silhouettes[np.isfinite(silhouettes)]
    return (float(known.sum()) + EVIDENCE * usual) / (len(known) + EVIDENCE)


def silhouettes(smooth: Vectors, merges: Dendrogram, sample: Slots, cuts: Sequence[float]) -> Vectors:
    """Return the silhouette of each sampled micro-cluster at each cut, shape (cuts, sample); NaN for one that is alone.

    It is (a - b) / (1 - min(a, b)), where a is the mean similarity to the others of its part, b that to the next best
    part (Rousseeuw 1987, with similarities); b is 0, that of unrelated texts, where there is no other part. Cuts are
    given from the highest on. A part is compared once, for all cuts at which it is the same.
    """
    n = len(smooth)
    rows, own = smooth[sample], merges.start[sample]
    sums = sums_by_part(smooth, np.ones(n, np.int64), merges.start)
    size = np.bincount(merges.start, minlength=n)
    since = np.zeros(n, np.int64)
    inside, beside = np.full((2, len(cuts), len(sample)), -np.inf, np.float32)

    def compare(parts: Slots, to: int) -> None:
        """Compare parts that exist up to, but not at, a cut."""
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
    for to, cut in enumerate(cuts):
        merged = merges.between(cut, above)
        if to:
            compare(np.unique(merged), to)
        for into, gone in merged.tolist():
            sums[into] += sums[gone]
            size[into] += size[gone]
            size[gone] = 0
        since[merged] = to
        own = merges.parts(cut)[sample]
        above = cut
    compare(np.flatnonzero(size), len(cuts))
    a = np.where(np.isfinite(inside), inside, np.nan)
    b = np.where(np.isfinite(beside), beside, 0)
    found: Vectors = (a - b) / np.maximum(1 - np.minimum(a, b), 1e-6)
    return found


def _sample(of: Slots, most: int) -> Slots:
    """Return at most `most` of the micro-clusters, ascending."""
    n = len(of)
    return of if n <= most else of[np.sort(np.random.default_rng(n).choice(n, most, replace=False))]
