"""The graph of nearest micro-clusters, against a search in full."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.graph import nearest_graph, smoothed
from soulcaster.domain.clustering.micro_clusters.index import NEIGHBOURS
from tests.domain.clustering.graphs import arrivals, seeds, steady
from tests.domain.clustering.make import chance_rows


@steady
@given(seeds, st.integers(1, NEIGHBOURS + 1))
def test_the_graph_is_that_of_a_search_in_full_while_arrivals_are_complete(seed: int, n: int) -> None:
    rows = chance_rows(n, 8, seed)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    dots = rows @ rows.T
    np.fill_diagonal(dots, -9)
    expected = np.argsort(-dots, axis=1, kind="stable")[:, : n - 1]
    assert np.array_equal(graph[:, : n - 1], expected)
    assert similarity[:, : n - 1] == pytest.approx(np.take_along_axis(dots, expected, 1), abs=1e-6)
    assert (graph[:, n - 1 :] == -1).all()
    assert (similarity[:, n - 1 :] == -1).all()


def test_the_graph_of_more_groups_finds_nearly_all_near_neighbours() -> None:
    middles = np.repeat(chance_rows(40, 16, 1), 10, 0)
    rows = middles + np.random.default_rng(2).standard_normal(middles.shape).astype(np.float32) * 0.15
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[np.random.default_rng(3).permutation(400)]
    graph, _ = nearest_graph(rows, arrivals(rows))
    dots = rows @ rows.T
    np.fill_diagonal(dots, -9)
    best = np.argsort(-dots, axis=1)[:, :5]
    found = [len(set(mine) & set(theirs)) for mine, theirs in zip(graph.tolist(), best.tolist(), strict=True)]
    assert sum(found) > 0.97 * best.size


@steady
@given(seeds, st.integers(1, 40))
def test_smoothing_is_a_weighted_mean_at_unit_length(seed: int, n: int) -> None:
    rows = chance_rows(n, 6, seed)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    found = smoothed(rows, graph, similarity)
    for i in range(n):
        near = [(j, s) for j, s in zip(graph[i], similarity[i], strict=True) if j >= 0 and s > 0.2]
        mean = rows[i] + sum((s * s * rows[j] for j, s in near), np.zeros(6))
        assert found[i] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
