"""Consolidation: what the clusters should be, given everything known by now. Pure: arrays in, a plan out.

graph.py finds the nearest micro-clusters and smooths along them, linkage.py merges them, regions.py finds the kinds of
texts, and merge_threshold.py chooses the threshold of each. docs/clustering.md ("A round") has the steps, the formulas
and the papers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.consolidation.graph import nearest_graph, smoothed
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints, average_linkage
from soulcaster.domain.clustering.consolidation.merge_threshold import GRANULARITY, LOOSE, LOWEST
from soulcaster.domain.clustering.consolidation.regions import region_thresholds, regions
from soulcaster.domain.clustering.features.vectors import Flags, Slots, Vectors
from soulcaster.domain.clustering.micro_clusters.index import KNOWN

FOREIGN_THRESHOLD = 0.4
"""The join and the merge threshold of texts in languages that the embedder does not know: similarities of characters
and words mean nearly the same in every language and project, unlike those of meanings."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What consolidation found.

    `part` is each micro-cluster's new cluster, as one of its micro-clusters; `smooth` has the smoothed features;
    `graph` and `similarity` have the nearest micro-clusters (-1: none); `thresholds` are those of each micro-cluster,
    down to which its part was merged. `merge_threshold` is the mean of those in languages that the embedder knows.
    """

    part: Slots
    smooth: Vectors
    graph: Slots
    similarity: Vectors
    thresholds: Vectors
    merge_threshold: float


def plan(
    features: Vectors,
    counts: Slots,
    neighbours: Slots,
    worded: Flags,
    languages: npt.NDArray[np.int32],
    sources: Slots,
    constraints: RoundConstraints,
) -> Plan:
    """Return what the clusters should be.

    `features` are f of the micro-clusters, `counts` their items, `neighbours` those that were nearest when each opened
    (-1: none), `worded` says which have words: one without is near nothing, and says nothing about the others. Those of
    two `languages` are never near each other, and foreign ones say nothing about thresholds: they have one of their
    own. `sources` has a number for the sources of each.
    """
    foreign = languages != KNOWN
    graph, similarity = nearest_graph(features, neighbours)
    graph[~(worded[:, None] & worded[graph]) | (languages[:, None] != languages[graph])] = -1
    smooth = smoothed(features, graph, np.where(foreign[:, None], 0, similarity))
    wish = GRANULARITY[constraints.granularity]
    merges = average_linkage(smooth, counts, graph, min(LOOSE, LOWEST + wish), constraints)
    nearest = np.where(graph[:, 0] >= 0, similarity[:, 0], 0)
    found = regions(smooth, np.flatnonzero(worded & ~foreign), sources)
    thresholds = region_thresholds(features, smooth, counts, graph, nearest, merges, found) + np.float32(wish)
    of_known = float(thresholds[~foreign].mean()) if not foreign.all() else FOREIGN_THRESHOLD + wish
    thresholds[foreign] = FOREIGN_THRESHOLD + wish
    return Plan(merges.parts_by(thresholds, counts), smooth, graph, similarity, thresholds, of_known)
