"""Consolidation: what the clusters should be, given everything known by now. Pure: arrays in, a plan out.

graph.py finds the nearest micro-clusters and smooths along them, merge_threshold.py chooses the threshold, linkage.py
merges down to it. docs/clustering.md ("A round") has the steps, the formulas and the papers.
"""

from dataclasses import dataclass

from soulcaster.domain.clustering.consolidation.graph import nearest_graph, smoothed
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.merge_threshold import merge_threshold
from soulcaster.domain.clustering.features.vectors import Flags, Slots, Vectors


@dataclass(frozen=True, slots=True)
class Plan:
    """What consolidation found.

    `part` is each micro-cluster's new cluster, as one of its micro-clusters; `smooth` has the smoothed features;
    `graph` and `similarity` have the nearest micro-clusters (-1: none).
    """

    part: Slots
    smooth: Vectors
    graph: Slots
    similarity: Vectors
    merge_threshold: float


def plan(features: Vectors, counts: Slots, neighbours: Slots, worded: Flags, constraints: RoundConstraints) -> Plan:
    """Return what the clusters should be.

    `features` are f of the micro-clusters, `counts` their items, `neighbours` those that were nearest when each opened
    (-1: none), `worded` says which have words: one without is near nothing, and says nothing about the others.
    """
    graph, similarity = nearest_graph(features, neighbours)
    graph[~(worded[:, None] & worded[graph])] = -1
    smooth = smoothed(features, graph, similarity)
    threshold, merges = merge_threshold(smooth, counts, graph, worded, constraints)
    return Plan(merges.parts(threshold), smooth, graph, similarity, threshold)
