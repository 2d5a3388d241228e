"""Regions: texts of one kind, which have a merge threshold of their own. No labels are needed.

Texts of several kinds in one project have topics of different fineness, and none of them is near the background of
all. So each region is judged around its own background, as a project of its own would be; clusters may still reach
from one region into another. docs/clustering.md ("Regions") has the reasons, docs/clustering-figures.md says how the
numbers were chosen.
"""

import numpy as np

from soulcaster.domain.clustering.consolidation.linkage import Dendrogram, RoundConstraints, average_linkage
from soulcaster.domain.clustering.consolidation.merge_threshold import LOOSE, merge_threshold
from soulcaster.domain.clustering.consolidation.two_means import two_means
from soulcaster.domain.clustering.features.vectors import Slots, Vectors, unit

FEWEST_OF_SOURCE = 64
"""Micro-clusters from which on a source may be a region."""

MOST_SOURCES = 16
"""Sources that may be regions, the largest."""

ALIKE = 0.05
"""Two sources are of one kind if half the squared distance of their means is below this."""

APART = 0.17
"""The halves of a region are regions if half the squared distance of their means is above this, and one mean points
away from the other."""

ONE_TOPIC = 0.75
"""The mean similarity from which on texts are one topic and not a kind: around its own mean, nothing of it is left."""

FEWEST_OF_HALF = 128
"""Micro-clusters that each half must have."""

_SAMPLE = 1024
"""Micro-clusters by which a region is halved."""


def region_thresholds(
    features: Vectors,
    smooth: Vectors,
    counts: Slots,
    graph: Slots,
    nearest: Vectors,
    merges: Dendrogram,
    found: list[Slots],
) -> Vectors:
    """Return the merge threshold of each micro-cluster; one in no region has the mean of all others.

    `features` are f before and `smooth` after smoothing, `nearest` is the similarity of each to its nearest one, and
    `merges` are those of all, down to `LOOSE`; `found` are the regions.
    """
    if len(found) == 1:
        return np.full(len(smooth), merge_threshold(smooth, merges, nearest, found[0]), np.float32)
    thresholds = np.full(len(smooth), np.nan, np.float32)
    for region in found:
        thresholds[region] = _threshold_of(region, features, smooth, counts, graph, nearest)
    thresholds[np.isnan(thresholds)] = np.nanmean(thresholds)
    return thresholds


def _threshold_of(
    region: Slots, features: Vectors, smooth: Vectors, counts: Slots, graph: Slots, nearest: Vectors
) -> float:
    position = np.full(len(smooth) + 1, -1)
    position[region] = np.arange(len(region))
    rows, shared = _around_own_mean(smooth[region])
    merges = average_linkage(rows, counts[region], position[graph[region]], LOOSE, RoundConstraints())
    _, shared_before = _around_own_mean(features[region])
    near = (nearest[region] - np.float32(shared_before)) / np.float32(1 - shared_before)
    own = merge_threshold(rows, merges, near, np.arange(len(region)))
    # What all have in common counts in a linkage: it is as high as this for texts that have nothing else in common.
    return shared + (1 - shared) * own


def _around_own_mean(rows: Vectors) -> tuple[Vectors, float]:
    """Return rows around their mean, at unit length, and the similarity that is due to what they share."""
    mean = rows.mean(0)
    return unit(rows - mean), float(mean @ mean)


def regions(smooth: Vectors, judged: Slots, sources: Slots) -> list[Slots]:
    """Return the regions of the judged micro-clusters, ascending; `sources` has a number for the sources of each.

    Sources whose texts are alike are one region; small ones, and those of one topic, belong to the nearest. What comes
    from one source may still be of two kinds: a region whose halves are far apart is two.
    """
    return [region for kind in _by_source(smooth, judged, sources) for region in _halved(smooth, kind)]


def _by_source(smooth: Vectors, judged: Slots, sources: Slots) -> list[Slots]:
    _, of, size = np.unique(sources[judged], return_inverse=True, return_counts=True)
    large = np.argsort(-size, kind="stable")[:MOST_SOURCES]
    large = large[size[large] >= FEWEST_OF_SOURCE]
    if len(large) < 2:
        return [judged]
    means = np.stack([smooth[judged[of == source]].mean(0) for source in large.tolist()])
    rank = np.full(len(size), -1)
    rank[large] = np.arange(len(large))
    kind = rank[of]
    small = np.flatnonzero(kind < 0)
    kind[small] = (smooth[judged[small]] @ means.T).argmax(1)
    while len(means) > 1:
        alone = np.eye(len(means), dtype=np.bool_)
        apart = np.where(alone, np.inf, ((means[:, None] - means) ** 2).sum(2) / 2)
        topic = (means**2).sum(1) >= ONE_TOPIC
        apart[topic] -= np.float32(2)  # before all others: no distance is larger
        one, other = sorted(np.unravel_index(apart.argmin(), apart.shape))
        if apart[one, other] >= ALIKE and apart[other, one] >= ALIKE:
            break
        kind[kind == other] = one
        kind[kind > other] -= 1
        means = np.delete(means, other, 0)
        means[one] = smooth[judged[kind == one]].mean(0)
    return [judged[kind == number] for number in range(len(means))]


def _halved(smooth: Vectors, region: Slots) -> list[Slots]:
    n = len(region)
    if n < 2 * FEWEST_OF_HALF:
        return [region]
    sample = region if n <= _SAMPLE else region[np.sort(np.random.default_rng(n).choice(n, _SAMPLE, replace=False))]
    _, sums = two_means(smooth[sample], np.ones((len(sample), 1), np.float32))
    one, other = unit(np.stack(sums))
    side = smooth[region] @ other > smooth[region] @ one
    halves = region[~side], region[side]
    if min(map(len, halves)) < FEWEST_OF_HALF:
        return [region]
    means = np.stack([smooth[half].mean(0) for half in halves])
    one_topic = (means**2).sum(1).max() >= ONE_TOPIC
    if one_topic or means[0] @ means[1] >= 0 or ((means[0] - means[1]) ** 2).sum() / 2 <= APART:
        return [region]
    return [part for half in halves for part in _halved(smooth, half)]
