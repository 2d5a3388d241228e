"""The join threshold, against a search in full."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.graph import nearest_graph
from soulcaster.domain.clustering.consolidation.join_threshold import NEW_WEIGHT, best_clusters, join_threshold
from tests.domain.clustering.graphs import arrivals, seeds, steady
from tests.domain.clustering.make import chance_rows


@steady
@given(seeds, st.integers(1, 40), st.integers(1, 8))
def test_the_best_cluster_is_that_of_the_three_nearest(seed: int, n: int, clusters: int) -> None:
    rows = chance_rows(n, 4, seed)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    cluster = np.random.default_rng(seed).integers(0, clusters, n)
    size = np.bincount(cluster)
    best, score = best_clusters(cluster, size, graph, similarity, cluster)
    for i in range(n):
        of: dict[int, list[float]] = {}
        for j, s in zip(graph[i].tolist(), similarity[i].tolist(), strict=True):
            if j >= 0:
                of.setdefault(int(cluster[j]), []).append(s)
        scores = {c: sum(near[:3]) / max(1, min(3, int(size[c]) - (c == cluster[i]))) for c, near in of.items()}
        if scores:
            assert score[i] == pytest.approx(max(scores.values()), abs=1e-5)
            assert scores[int(best[i])] == pytest.approx(max(scores.values()), abs=1e-5)


@steady
@given(seeds, st.integers(2, 40), st.integers(1, 8))
def test_no_other_cut_agrees_better_online(seed: int, n: int, clusters: int) -> None:
    chance = np.random.default_rng(seed)
    cluster, count = chance.integers(0, clusters, n), chance.integers(1, 4, n)
    rows = chance_rows(clusters, 6, seed)[cluster] + 0.5 * chance_rows(n, 6, seed + 1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    best, score = best_clusters(cluster, np.bincount(cluster), graph, similarity, cluster)
    alone = np.bincount(cluster)[cluster] == 1

    away = graph.copy()
    away[cluster[graph] == cluster[:, None]] = -1
    _, strange = best_clusters(cluster, np.bincount(cluster), away, similarity, cluster)

    def agreement(threshold: float) -> float:
        right = np.where(score >= threshold, (best == cluster) & ~alone, alone)
        return float((right * count).sum() / count.sum())

    def merit(threshold: float) -> float:
        return agreement(threshold) + NEW_WEIGHT * float(((strange < threshold) * count).sum() / count.sum())

    found = join_threshold(cluster, count, graph, similarity)
    assert found.agreement == pytest.approx(agreement(found.threshold), abs=1e-6)
    apart = np.unique(score)[::-1]
    between = [*((apart[:-1] + apart[1:]) / 2).tolist(), float(apart[-1]) / 2, 2.0]
    assert merit(found.threshold) == pytest.approx(max(map(merit, between)), abs=1e-6)
