"""The merge threshold: the size of topics, and how well parts are separated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.graph import nearest_graph, smoothed
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints, average_linkage
from soulcaster.domain.clustering.consolidation.merge_threshold import (
    HIGHEST,
    TRIED,
    best_separation,
    merge_threshold,
    micro_clusters_per_topic,
    separations,
)
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from tests.domain.clustering.graphs import arrivals, complete, planted, seeds, steady, together, worded
from tests.domain.clustering.make import chance_rows


def test_the_cut_is_above_what_has_nothing_to_do_with_one_another() -> None:
    rows, of = planted(300, 10, 0.5)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    threshold, _ = merge_threshold(smooth, np.ones(300, np.int64), graph, worded(300), RoundConstraints())
    dots = smooth @ smooth.T
    assert np.median(dots[of[:, None] != of]) < threshold < np.median(dots[of[:, None] == of])


def test_how_many_groups_a_topic_has() -> None:
    rows, _ = planted(300, 10, 0.5)
    smooth = smoothed(rows, *nearest_graph(rows, arrivals(rows)))
    assert 20 < micro_clusters_per_topic(smooth) < 60


@pytest.mark.parametrize("dimensions", [24, 64, 256])
def test_it_is_found_however_wide_chance_similarities_spread(dimensions: int) -> None:
    topics = np.repeat(chance_rows(20, dimensions, 1), 20, axis=0)
    rows = unit(topics + 0.4 * chance_rows(400, dimensions, 2))
    assert micro_clusters_per_topic(rows) == pytest.approx(20, rel=0.1)


def test_a_template_among_single_items_is_no_reason_to_merge_them() -> None:
    alone = chance_rows(400, 64)
    template = unit(chance_rows(1, 64, 1) + 0.2 * chance_rows(100, 64, 2))
    rows = np.concatenate([alone, template])
    graph, similarity = nearest_graph(rows, arrivals(rows))
    threshold, _ = merge_threshold(
        smoothed(rows, graph, similarity), np.ones(500, np.int64), graph, worded(500), RoundConstraints()
    )
    assert threshold > 0.9


def test_one_group_alone_is_no_topic() -> None:
    assert micro_clusters_per_topic(chance_rows(1)) == 1
    assert (
        merge_threshold(chance_rows(1), np.ones(1, np.int64), complete(1), worded(1), RoundConstraints())[0] == HIGHEST
    )


@steady
@given(seeds, st.integers(2, 40), st.lists(st.floats(-0.3, 0.9), min_size=1, max_size=5), st.booleans())
def test_how_far_apart_clusters_are_is_what_their_groups_say(seed: int, n: int, some: list[float], told: bool) -> None:
    rows = chance_rows(n, 6, seed)
    chance = np.random.default_rng(seed)
    thresholds = sorted(some, reverse=True)
    constraints = RoundConstraints({slot: slot % 2 for slot in range(0, n, 5)}) if told else RoundConstraints()
    merges = average_linkage(rows, chance.integers(1, 5, n), complete(n), thresholds[-1] - 0.1, constraints)
    looked_at = np.flatnonzero(chance.random(n) < 0.7)
    wide = rows.astype(np.float64)
    expected = np.zeros((len(thresholds), len(looked_at)))
    for at, threshold in enumerate(thresholds):
        part = merges.parts(threshold)
        for place, i in enumerate(looked_at.tolist()):
            mine = np.flatnonzero((part == part[i]) & (np.arange(n) != i))
            others = [float((wide[part == other] @ wide[i]).mean()) for other in np.unique(part) if other != part[i]]
            if len(mine) and others:
                a, b = float((wide[mine] @ wide[i]).mean()), max(others)
                expected[at, place] = (a - b) + (a - b) / max(1e-6, 1 - min(a, b))
    assert separations(rows, merges, looked_at, thresholds) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("noise", [0.3, 0.6, 0.9, 1.1])
def test_however_loose_large_topics_are_the_cut_is_where_they_are_apart(noise: float) -> None:
    rows, of = planted(400, 8, noise)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    merges = average_linkage(smooth, np.ones(400, np.int64), graph, TRIED[-1], RoundConstraints())
    part = merges.parts(best_separation(smooth, merges, worded(len(smooth))).threshold)
    assert len(together(part) & together(of)) >= 6


@pytest.mark.parametrize("groups", [120, 1500])
def test_a_few_large_topics_are_seen_although_nothing_seems_alike(groups: int) -> None:
    topics = chance_rows(2, 48, 1)
    rows = unit(unit(topics - topics.mean(0))[np.arange(groups) % 2] + 1.7 * chance_rows(groups, 48, 2))
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    assert micro_clusters_per_topic(smooth) < 2
    assert merge_threshold(smooth, np.ones(groups, np.int64), graph, worded(groups), RoundConstraints())[0] < 0.5


def test_a_few_near_copies_do_not_change_how_sure_the_separation_is() -> None:
    def at_least(rows: Vectors) -> float:
        n = len(rows)
        graph, similarity = nearest_graph(rows, complete(n)[:, :12])
        smooth = smoothed(rows, graph, similarity)
        merges = average_linkage(smooth, np.ones(n, np.int64), graph, TRIED[-1], RoundConstraints())
        return best_separation(smooth, merges, worded(n)).at_least

    rows, _ = planted(40, 4, 1.1)
    copy = chance_rows(1, 128, 3)
    near = unit(np.concatenate([copy, copy + 0.01 * chance_rows(1, 128, 4)]))
    assert abs(at_least(np.concatenate([rows, near])) - at_least(rows)) < 0.05
