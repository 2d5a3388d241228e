"""The merge threshold: how well parts are separated, and the size of topics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.graph import nearest_graph, smoothed
from soulcaster.domain.clustering.consolidation.linkage import Dendrogram, RoundConstraints, average_linkage
from soulcaster.domain.clustering.consolidation.merge_threshold import (
    EVIDENCE,
    HIGHEST,
    LOOSE,
    LOWEST,
    estimated,
    merge_threshold,
    micro_clusters_per_topic,
    silhouettes,
)
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from tests.domain.clustering.graphs import arrivals, complete, planted, seeds, steady, together
from tests.domain.clustering.make import chance_rows


def threshold_of(rows: Vectors) -> tuple[float, Dendrogram, Vectors]:
    """Return the threshold, what is merged down to `LOOSE`, and the smoothed rows."""
    n = len(rows)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    merges = average_linkage(smooth, np.ones(n, np.int64), graph, LOOSE, RoundConstraints())
    return merge_threshold(smooth, merges, similarity[:, 0], np.arange(n)), merges, smooth


def test_the_cut_is_above_what_has_nothing_to_do_with_one_another() -> None:
    rows, of = planted(300, 10, 0.5)
    threshold, _, smooth = threshold_of(rows)
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
    threshold, _, _ = threshold_of(rows)
    assert threshold > 0.9


def test_one_group_alone_is_no_topic() -> None:
    assert micro_clusters_per_topic(chance_rows(1)) == 1


@steady
@given(seeds, st.integers(2, 40), st.lists(st.floats(-0.3, 0.9), min_size=1, max_size=5), st.booleans())
def test_silhouettes_are_what_all_pairs_say(seed: int, n: int, some: list[float], told: bool) -> None:
    rows = chance_rows(n, 6, seed)
    chance = np.random.default_rng(seed)
    cuts = sorted(some, reverse=True)
    constraints = RoundConstraints({slot: slot % 2 for slot in range(0, n, 5)}) if told else RoundConstraints()
    merges = average_linkage(rows, chance.integers(1, 5, n), complete(n), cuts[-1] - 0.1, constraints)
    looked_at = np.flatnonzero(chance.random(n) < 0.7)
    wide = rows.astype(np.float64)
    expected = np.full((len(cuts), len(looked_at)), np.nan)
    for at, cut in enumerate(cuts):
        part = merges.parts(cut)
        for place, i in enumerate(looked_at.tolist()):
            mine = np.flatnonzero((part == part[i]) & (np.arange(n) != i))
            others = [float((wide[part == other] @ wide[i]).mean()) for other in np.unique(part) if other != part[i]]
            if len(mine):
                a, b = float((wide[mine] @ wide[i]).mean()), max(others, default=0.0)
                expected[at, place] = (a - b) / max(1e-6, 1 - min(a, b))
    assert silhouettes(rows, merges, looked_at, cuts) == pytest.approx(expected, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("noise", [0.3, 0.6, 0.9, 1.1])
def test_however_loose_large_topics_are_they_are_found(noise: float) -> None:
    rows, of = planted(400, 8, noise)
    threshold, merges, _ = threshold_of(rows)
    assert len(together(merges.parts(threshold)) & together(of)) >= 6


@pytest.mark.parametrize("noise", [0.5, 0.7, 0.9])
def test_questions_about_a_few_products_are_not_merged_by_product(noise: float) -> None:
    products, questions, texts = 6, 10, 8
    of = np.repeat(np.arange(products * questions), texts)
    product = np.repeat(chance_rows(products, 64, 1), questions, axis=0)
    question = unit(0.8 * product + chance_rows(len(product), 64, 2))
    rows = unit(question[of] + noise * chance_rows(len(of), 64, 3))
    threshold, merges, _ = threshold_of(rows)
    parts = together(merges.parts(threshold))
    assert all(len(set(of[list(part)].tolist())) == 1 for part in parts)
    assert len(parts & together(of)) > 45


def test_silhouettes_of_a_few_weigh_less_than_what_is_usual() -> None:
    assert estimated(np.array([np.nan, np.nan], np.float32), 0.4) == pytest.approx(0.4)
    assert estimated(np.ones(1, np.float32), 0.4) < 0.5
    assert estimated(np.ones(50 * EVIDENCE, np.float32), 0.4) > 0.98


@steady
@given(seeds, st.integers(1, 3))
def test_a_few_unlike_texts_stay_apart_even_where_all_similarities_are_high(seed: int, n: int) -> None:
    rows = unit(0.8 * chance_rows(1, 256, 9) + chance_rows(n, 256, seed))  # near 0.4: the background is not known yet
    threshold, merges, _ = threshold_of(rows)
    assert LOWEST <= threshold <= HIGHEST
    assert len(together(merges.parts(threshold))) == n


def test_many_single_texts_keep_the_threshold_high_and_near_copies_join() -> None:
    alone = chance_rows(300, 64)
    pairs = np.concatenate([alone, unit(alone[:20] + 0.02 * chance_rows(20, 64, 3))])
    threshold, merges, _ = threshold_of(pairs)
    parts = merges.parts(threshold)
    assert threshold > 0.8
    assert (parts[:20] == parts[300:]).all()
    assert len(together(parts)) > 280


def test_near_copies_raise_the_threshold() -> None:
    rows, _ = planted(400, 80, 1.0)
    _, merges, smooth = threshold_of(rows)
    low, high = (merge_threshold(smooth, merges, np.full(400, s, np.float32), np.arange(400)) for s in (0.3, 0.5))
    assert low < high
