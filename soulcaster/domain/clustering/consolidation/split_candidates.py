"""Clusters that a person may want to split. Pure: a plan in, candidates out.

Average linkage merges what is near first and never looks back, so a cluster may hold together only by its middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.plan import Plan
from soulcaster.domain.clustering.consolidation.two_means import two_means
from soulcaster.domain.clustering.features.vectors import Slots, Vectors

SPLIT_MICRO_CLUSTERS = 6
"""The fewest micro-clusters of a cluster whose split is proposed."""

SPLIT_SHARE = 0.1
"""Each half must have at least this share of the items."""

_EXAMINED = 200
"""The largest clusters, of which splits are considered."""


@dataclass(frozen=True, slots=True)
class SplitCandidate:
    """A cluster that may be two, the micro-clusters of its smaller half, and the linkage of the halves."""

    number: int
    slots: tuple[int, ...]
    linkage: float


def split_candidates(
    found: Plan,
    clusters: Mapping[int, Slots],
    final: Slots,
    highest: int,
    counts: Slots,
    constraints: RoundConstraints,
) -> tuple[SplitCandidate, ...]:
    """Return the largest clusters whose halves have a linkage below the merge threshold, the lowest linkage first.

    `clusters` has the micro-clusters of each cluster, `final` the cluster of each micro-cluster, `counts` its items.
    New clusters (above `highest`) and those with a must-link are left out.
    """
    linked = {int(final[slot]) for slot in constraints.must_link}
    size = np.bincount(final, weights=counts)
    large = np.bincount(final) >= SPLIT_MICRO_CLUSTERS
    candidates = []
    for number in np.argsort(-np.where(large, size, 0), kind="stable")[:_EXAMINED].tolist():
        if not large[number] or number > highest or number in linked:
            continue
        slots = clusters[number]
        halved = _smaller_half(found.smooth[slots], counts[slots, None].astype(np.float32))
        if halved is not None and halved[1] < np.average(found.thresholds[slots], weights=counts[slots]):
            half, linkage = halved
            candidates.append(SplitCandidate(number, tuple(slots[half].tolist()), linkage))
    return tuple(sorted(candidates, key=lambda candidate: (candidate.linkage, candidate.number)))


def _smaller_half(rows: Vectors, weight: Vectors) -> tuple[npt.NDArray[np.bool_], float] | None:
    """Divide rows by two-means, and return which are in the smaller half, and the linkage of the halves.

    `weight` has shape (n, 1). Return None if the smaller half has too small a share of it.
    """
    side, sums = two_means(rows, weight)
    weights = float(weight[~side].sum()), float(weight[side].sum())
    if min(weights) < SPLIT_SHARE * sum(weights):
        return None
    return side if weights[1] <= weights[0] else ~side, float(sums[0] @ sums[1]) / (weights[0] * weights[1])
