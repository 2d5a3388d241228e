"""Choosing the join threshold: the score from which on an item joins its best cluster as it arrives."""

from dataclasses import dataclass

import numpy as np

from soulcaster.domain.clustering.features.vectors import Slots, Vectors

NEW_WEIGHT = 0.5
"""How much it counts that what is new opens a cluster, where 1 is that what is known joins its own."""

NEAREST_COUNTED = 3
"""The nearest micro-clusters of a cluster whose mean similarity is its score."""

_ALONE = 0.5
"""The lowest threshold that accepts nothing: if every micro-cluster is alone, none shows what is near enough."""


@dataclass(frozen=True, slots=True)
class JoinThreshold:
    """The threshold, and the share of items (0 to 1) that it would have placed where they are."""

    threshold: float
    agreement: float


def join_threshold(cluster: Slots, counts: Slots, graph: Slots, similarity: Vectors) -> JoinThreshold:
    """Return the threshold at which most items would be placed where a round has put them.

    `cluster` has each micro-cluster's cluster, `graph` and `similarity` its nearest (-1: none). Each micro-cluster is
    looked at as if it arrived now, without itself: it should go where it is, or nowhere if it is alone. It is looked at
    again as if the rest of its cluster did not exist yet, counted `NEW_WEIGHT` times: then it should go nowhere,
    because the first of a topic that join another topic's cluster take all that follow with them.
    """
    if not len(cluster):
        return JoinThreshold(_ALONE, 1.0)
    size = np.bincount(cluster)
    best, score = best_clusters(cluster, size, graph, similarity, cluster)
    elsewhere = np.where(cluster[graph] == cluster[:, None], -1, graph)
    _, score_elsewhere = best_clusters(cluster, size, elsewhere, similarity, cluster)
    alone = size[cluster] == 1
    order = np.argsort(-score, kind="stable")
    scores = score[order]
    weight = counts[order].astype(np.float64)
    right = weight * ((best == cluster) & ~alone)[order]
    # If the first i join: those that are right join, and those alone among the others rightly open a cluster.
    agreed = np.concatenate([[0], np.cumsum(right)]) - np.concatenate([[0], np.cumsum(weight * alone[order])])
    nothing = min(1.0, max(_ALONE, float(scores[0]) + 0.05))
    thresholds = np.concatenate([[nothing], (scores[:-1] + scores[1:]) / 2, [scores[-1] / 2]])
    ascending = np.argsort(score_elsewhere, kind="stable")
    below = np.concatenate([[0], np.cumsum(counts[ascending].astype(np.float64))])
    lured = below[-1] - below[np.searchsorted(score_elsewhere[ascending], thresholds)]
    no_gap = np.concatenate([[False], scores[:-1] == scores[1:], [False]])
    at = int(np.where(no_gap, -np.inf, agreed - NEW_WEIGHT * lured).argmax())
    agreement = float(agreed[at] + (counts * alone).sum()) / max(1.0, float(counts.sum()))
    return JoinThreshold(float(thresholds[at]), agreement)


def best_clusters(
    cluster: Slots,
    size: Slots,
    graph: Slots,
    similarity: Vectors,
    own: Slots,
) -> tuple[Slots, Vectors]:
    """Return the best cluster of each row of a graph of neighbours, and its score.

    The score is the mean similarity of a cluster's three nearest micro-clusters among the neighbours; where a cluster
    has three or more, one that is not among them counts as zero. `size` is each cluster's number of micro-clusters;
    `own` is the cluster that each row is taken out of, which then has one less.
    """
    n = len(graph)
    of = np.where(graph >= 0, cluster[graph], -1)
    same = of[:, :, None] == of[:, None, :]
    rank = np.count_nonzero(np.tril(same, -1), axis=2)
    counted = np.where((rank < NEAREST_COUNTED) & (of >= 0), similarity, 0)
    total = (same * counted[:, None, :]).sum(2)
    micro_clusters = size[of] - (of == own[:, None])
    score = np.where(of >= 0, total / np.clip(micro_clusters, 1, NEAREST_COUNTED), -1).astype(np.float32)
    best = score.argmax(1)
    rows = np.arange(n)
    return of[rows, best], score[rows, best]
