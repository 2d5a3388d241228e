"""Themes: broad groups of clusters, further down in the same dendrogram. Pure: arrays in, groups out.

Average linkage goes on from the clusters and stops where parts are hardly more alike than any two texts. How alike
those are is seen in the data, without labels (`broad_threshold`). docs/clustering.md ("Themes") has the reasons.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints, average_linkage
from soulcaster.domain.clustering.consolidation.plan import Plan
from soulcaster.domain.clustering.features.vectors import Flags, Slots, Vectors

BROAD = 1.3
"""Clusters are one theme down to a linkage of this number of spreads above the usual similarity."""

LEAST_TEXTS = 16
"""Micro-clusters below which nothing can be said about what is usual; there are no themes then."""

MOST_THEMES = 100
"""The largest themes, by items; further groups are no themes. One event carries them all."""

_FARTHEST = 0.9
"""Similarities are clipped here, because artanh is infinite at 1."""

_LEAST_SPREAD = 0.05
"""Where nearly all pairs are equally alike, a difference below this says nothing."""

_SAMPLE = 512
"""Micro-clusters that are compared with each other."""


@dataclass(frozen=True, slots=True)
class ThemeGroup:
    """Two or more clusters that are one theme, by number, and the lowest linkage at which parts of it were joined.

    `theme_id` is that of the earlier theme that it continues, None for a new one.
    """

    clusters: tuple[int, ...]
    linkage: float
    theme_id: str | None = None


@dataclass(frozen=True, slots=True)
class ThemePlan:
    """The themes that a round found, the largest first; the threshold, and the usual similarity of two texts."""

    groups: tuple[ThemeGroup, ...]
    threshold: float
    usual: float

    def renumbered(self, highest: int) -> "ThemePlan":
        """Return the same with new clusters, those above `highest`, numbered below zero: -1 for the first."""
        groups = (
            replace(group, clusters=tuple(n if n <= highest else highest - n for n in group.clusters))
            for group in self.groups
        )
        return replace(self, groups=tuple(groups))


def find_themes(found: Plan, final: Slots, counts: Slots, worded: Flags, theme_of: Mapping[int, str]) -> ThemePlan:
    """Return the themes of clusters.

    `final` is the cluster of each micro-cluster, `counts` its items, `worded` says whether it has words; `theme_of` has
    the earlier theme of each cluster that had one. Constraints do not count: two clusters that a person has separated
    may be in one theme.
    """
    usual, threshold = broad_threshold(found.smooth[worded])
    if math.isinf(threshold):
        return ThemePlan((), threshold, usual)
    as_they_are = RoundConstraints(must_link=dict(enumerate(final.tolist())))
    merges = average_linkage(found.smooth, counts, found.graph, threshold, as_they_are)
    part = merges.parts()
    lowest = np.ones(len(part), np.float32)
    np.minimum.at(lowest, part[merges.into], merges.height)
    items = np.bincount(part, weights=counts, minlength=len(part))
    numbers, first = np.unique(final, return_index=True)
    groups: dict[int, list[int]] = {int(root): [] for root in part[merges.into]}
    for number, root in zip(numbers.tolist(), part[first].tolist(), strict=True):
        if root in groups:
            groups[root].append(number)
    largest = sorted(groups, key=lambda root: (-items[root], root))[:MOST_THEMES]
    sizes = np.bincount(final, weights=counts)
    ids = _continued([groups[root] for root in largest], sizes.tolist(), theme_of)
    return ThemePlan(
        tuple(
            ThemeGroup(tuple(groups[root]), float(lowest[root]), theme_id)
            for root, theme_id in zip(largest, ids, strict=True)
        ),
        threshold,
        usual,
    )


def broad_threshold(smooth: Vectors) -> tuple[float, float]:
    """Return the usual similarity of two micro-clusters, and the threshold of themes: infinite for too few.

    The usual similarity is the median of random pairs. Its spread is the distance down to the 16th percentile, in
    artanh (Fisher 1921), because topics hardly widen that side.
    """
    n = len(smooth)
    if n < LEAST_TEXTS:
        return 0.0, math.inf
    sample = smooth
    if n > _SAMPLE:
        sample = smooth[np.sort(np.random.default_rng(n).choice(n, _SAMPLE, replace=False))]
    pairs = (sample @ sample.T)[~np.tri(len(sample), dtype=np.bool_)]
    low, middle = np.arctanh(np.clip(np.quantile(pairs, [0.16, 0.5]), -_FARTHEST, _FARTHEST)).tolist()
    return math.tanh(middle), math.tanh(middle + BROAD * max(_LEAST_SPREAD, middle - low))


def _continued(
    groups: Sequence[Sequence[int]], sizes: Sequence[float], theme_of: Mapping[int, str]
) -> list[str | None]:
    """Return the earlier theme that each group continues, None for a new one.

    Groups and earlier themes are matched by the items they share, the largest share first.
    """
    shared: Counter[tuple[str, int]] = Counter()
    for at, clusters in enumerate(groups):
        for number in clusters:
            if number in theme_of:
                shared[theme_of[number], at] += int(sizes[number])
    continued: dict[int, str] = {}
    taken: set[str] = set()
    for (theme_id, at), _ in sorted(shared.items(), key=lambda entry: (-entry[1], entry[0])):
        if at not in continued and theme_id not in taken:
            continued[at] = theme_id
            taken.add(theme_id)
    return [continued.get(at) for at in range(len(groups))]
