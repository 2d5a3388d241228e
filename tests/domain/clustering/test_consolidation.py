"""Consolidation against plain readings of it: scipy's average linkage, and search in full."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import squareform

from soulcaster.domain.clustering.consolidation import plan
from soulcaster.domain.clustering.graph import NEIGHBOURS, nearest_graph, smoothed
from soulcaster.domain.clustering.join_threshold import NEW_WEIGHT, best_clusters, join_threshold
from soulcaster.domain.clustering.linkage import RoundConstraints, average_linkage, merge_candidates
from soulcaster.domain.clustering.merge_threshold import (
    HIGHEST,
    TRIED,
    best_separation,
    merge_threshold,
    micro_clusters_per_topic,
    separations,
)
from soulcaster.domain.clustering.vectors import Slots, Vectors, unit
from tests.domain.clustering.make import chance_rows

steady = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)


def complete(n: int) -> Slots:
    """The graph in which every group is every other's neighbour."""
    return np.array([[j for j in range(n) if j != i] for i in range(n)], np.int64).reshape(n, max(0, n - 1))


def arrivals(rows: Vectors) -> Slots:
    """The nearest that were there when each came."""
    found = np.full((len(rows), NEIGHBOURS), -1, np.int64)
    for i in range(1, len(rows)):
        near = np.argsort(-(rows[:i] @ rows[i]), kind="stable")[:NEIGHBOURS]
        found[i, : len(near)] = near
    return found


def together(part: Slots) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(part == p).tolist()) for p in np.unique(part)}


@steady
@given(seeds, st.integers(2, 14), st.floats(-0.2, 0.9), st.booleans())
def test_along_a_complete_graph_it_is_average_linkage(seed: int, n: int, cut: float, weighted: bool) -> None:
    rows = chance_rows(n, 5, seed)
    count = np.random.default_rng(seed).integers(1, 4, n) if weighted else np.ones(n, np.int64)
    part = average_linkage(rows, count, complete(n), cut, RoundConstraints()).parts()
    each = np.repeat(np.arange(n), count)
    distance = 1 - rows[each].astype(np.float64) @ rows[each].T.astype(np.float64)
    np.fill_diagonal(distance, 0)
    distance[each[:, None] == each[None, :]] = 0
    tree = scipy_linkage(squareform(distance, checks=False), "average")
    flat = fcluster(tree, 1 - cut, "distance")
    if np.abs(tree[:, 2] - (1 - cut)).min() > 1e-4:
        first = np.searchsorted(each, np.arange(n))
        assert together(part) == together(flat[first])
        assert all(part[p] == p for p in part)


@steady
@given(seeds, st.integers(3, 30), st.floats(-0.5, 0.8), st.data())
def test_what_people_want_comes_before_similarity(seed: int, n: int, cut: float, data: st.DataObject) -> None:
    rows = chance_rows(n, 3, seed)
    chance = np.random.default_rng(seed)
    must_link = {int(slot): int(slot) % 3 for slot in chance.permutation(n)[: data.draw(st.integers(0, n))]}
    fixed_bonds = {slot for slot, bond in must_link.items() if bond == 0}
    fixed = frozenset(fixed_bonds if data.draw(st.booleans()) else ())
    sides: dict[int, dict[int, int]] = {}
    for separation in range(data.draw(st.integers(0, 3))):
        # Bonds of which one is to be on each side, and others.
        for slot in range(n):
            side = chance.integers(0, 4)
            if slot not in must_link and side < 2:
                sides.setdefault(slot, {})[separation] = int(side)
        for slot, bond in must_link.items():
            if bond and separation == 0:
                sides.setdefault(slot, {})[0] = bond - 1
    part = average_linkage(
        rows, np.ones(n, np.int64), complete(n), cut, RoundConstraints(must_link, sides, fixed)
    ).parts()
    for one, other in itertools.combinations(range(n), 2):
        if one in must_link and must_link[one] == must_link.get(other):
            assert part[one] == part[other]
        shared = sides.get(one, {}).keys() & sides.get(other, {}).keys()
        if any(sides[one][key] != sides[other][key] for key in shared):
            assert part[one] != part[other]
        if (one in fixed) != (other in fixed):
            assert part[one] != part[other]


@steady
@given(seeds, st.integers(2, 30), st.floats(0.0, 0.9), st.booleans())
def test_what_is_nearly_near_enough_is_told_likeliest_first(seed: int, n: int, cut: float, weighted: bool) -> None:
    rows = chance_rows(n, 3, seed)
    count = np.random.default_rng(seed).integers(1, 4, n) if weighted else np.ones(n, np.int64)
    part = average_linkage(rows, count, complete(n), cut, RoundConstraints()).parts()
    expected = {}
    for one, other in itertools.combinations(np.unique(part).tolist(), 2):
        mine, theirs = part == one, part == other
        expected[one, other] = float(
            np.average(rows[mine] @ rows[theirs].T, weights=np.outer(count[mine], count[theirs]))
        )
    apart = merge_candidates(rows, count, complete(n), part, cut)
    assert [near.linkage for near in apart] == sorted((near.linkage for near in apart), reverse=True)
    for near in apart:
        assert near.linkage == pytest.approx(expected[near.one, near.other], abs=1e-5)
        assert cut - 0.15 <= near.linkage < cut
    told = {(near.one, near.other) for near in apart}
    assert {pair for pair, link in expected.items() if cut - 0.1499 < link < cut - 0.0001} <= told


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


def planted(groups: int, topics: int, noise: float) -> tuple[Vectors, Slots]:
    chance = np.random.default_rng(5)
    of = np.arange(groups) % topics
    rows = chance.standard_normal((topics, 128))[of] + noise * chance.standard_normal((groups, 128))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), of


@pytest.mark.parametrize("topics", [10, 40])
def test_planted_topics_are_found(topics: int) -> None:
    rows, of = planted(400, topics, 0.5)
    found = plan(rows, np.ones(400, np.int64), arrivals(rows), RoundConstraints())
    assert together(found.part) == together(of)


def test_a_wish_for_finer_or_broader_moves_the_cut() -> None:
    rows, _ = planted(200, 10, 1.8)
    count = np.ones(200, np.int64)
    cuts, parts = [], []
    for granularity in ("finer", "fine", "auto", "broad", "broader"):
        found = plan(rows, count, arrivals(rows), RoundConstraints(granularity=granularity))
        cuts.append(found.merge_threshold)
        parts.append(len(together(found.part)))
    assert cuts == sorted(cuts, reverse=True)
    assert len(set(cuts)) == 5
    assert parts == sorted(parts, reverse=True)
    assert parts[0] > parts[-1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_groups(n: int) -> None:
    rows = chance_rows(n, 4, 1)
    found = plan(rows, np.ones(n, np.int64), arrivals(rows), RoundConstraints())
    assert len(found.part) == n
    assert np.isfinite(found.merge_threshold)
    same = np.repeat(rows[:1], n, 0)
    assert len(together(plan(same, np.ones(n, np.int64), arrivals(same), RoundConstraints()).part)) >= 1


def test_rows_that_say_nothing() -> None:
    rows = np.zeros((20, 4), np.float32)
    found = plan(rows, np.ones(20, np.int64), arrivals(rows), RoundConstraints())
    assert np.isfinite(found.smooth).all()
    assert np.isfinite(found.merge_threshold)


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

    def agreement(cut: float) -> float:
        right = np.where(score >= cut, (best == cluster) & ~alone, alone)
        return float((right * count).sum() / count.sum())

    def merit(cut: float) -> float:
        return agreement(cut) + NEW_WEIGHT * float(((strange < cut) * count).sum() / count.sum())

    found = join_threshold(cluster, count, graph, similarity)
    assert found.agreement == pytest.approx(agreement(found.threshold), abs=1e-6)
    apart = np.unique(score)[::-1]
    between = [*((apart[:-1] + apart[1:]) / 2).tolist(), float(apart[-1]) / 2, 2.0]
    assert merit(found.threshold) == pytest.approx(max(map(merit, between)), abs=1e-6)


def test_the_cut_is_above_what_has_nothing_to_do_with_one_another() -> None:
    rows, of = planted(300, 10, 0.5)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    cut, _ = merge_threshold(smooth, np.ones(300, np.int64), graph, RoundConstraints())
    dots = smooth @ smooth.T
    assert np.median(dots[of[:, None] != of]) < cut < np.median(dots[of[:, None] == of])


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
    cut, _ = merge_threshold(smoothed(rows, graph, similarity), np.ones(500, np.int64), graph, RoundConstraints())
    assert cut > 0.9


def test_one_group_alone_is_no_topic() -> None:
    assert micro_clusters_per_topic(chance_rows(1)) == 1
    assert merge_threshold(chance_rows(1), np.ones(1, np.int64), complete(1), RoundConstraints())[0] == HIGHEST


@steady
@given(seeds, st.integers(2, 40), st.lists(st.floats(-0.3, 0.9), min_size=1, max_size=5), st.booleans())
def test_how_far_apart_clusters_are_is_what_their_groups_say(seed: int, n: int, some: list[float], told: bool) -> None:
    rows = chance_rows(n, 6, seed)
    chance = np.random.default_rng(seed)
    cuts = sorted(some, reverse=True)
    constraints = RoundConstraints({slot: slot % 2 for slot in range(0, n, 5)}) if told else RoundConstraints()
    merges = average_linkage(rows, chance.integers(1, 5, n), complete(n), cuts[-1] - 0.1, constraints)
    looked_at = np.flatnonzero(chance.random(n) < 0.7)
    wide = rows.astype(np.float64)
    expected = np.zeros((len(cuts), len(looked_at)))
    for at, cut in enumerate(cuts):
        part = merges.parts(cut)
        for place, i in enumerate(looked_at.tolist()):
            mine = np.flatnonzero((part == part[i]) & (np.arange(n) != i))
            others = [float((wide[part == other] @ wide[i]).mean()) for other in np.unique(part) if other != part[i]]
            if len(mine) and others:
                a, b = float((wide[mine] @ wide[i]).mean()), max(others)
                expected[at, place] = (a - b) + (a - b) / max(1e-6, 1 - min(a, b))
    assert separations(rows, merges, looked_at, cuts) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("noise", [0.3, 0.6, 0.9, 1.1])
def test_however_loose_large_topics_are_the_cut_is_where_they_are_apart(noise: float) -> None:
    rows, of = planted(400, 8, noise)
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    merges = average_linkage(smooth, np.ones(400, np.int64), graph, TRIED[-1], RoundConstraints())
    part = merges.parts(best_separation(smooth, merges).threshold)
    assert len(together(part) & together(of)) >= 6


@steady
@given(seeds, st.integers(1, 24), st.lists(st.floats(-0.2, 0.9), min_size=1, max_size=5), st.booleans())
def test_a_dendrogram_has_what_one_to_a_higher_cut_has(seed: int, n: int, some: list[float], told: bool) -> None:
    rows = chance_rows(n, 6, seed)
    chance = np.random.default_rng(seed)
    graph, _ = nearest_graph(rows, arrivals(rows))
    count = chance.integers(1, 5, n)
    constraints = RoundConstraints()
    if told:
        sides = {slot: {0: int(side)} for slot, side in enumerate(chance.integers(0, 6, n).tolist()) if side < 2}
        fixed = np.flatnonzero(chance.random(n) < 0.2).tolist()
        must_link = {slot: slot % 2 for slot in range(n) if slot not in sides and slot not in fixed and slot % 5 < 2}
        constraints, graph = RoundConstraints(must_link, sides, frozenset(fixed)), complete(n)
    merges = average_linkage(rows, count, graph, min(some), constraints)
    for cut in some:
        assert together(merges.parts(cut)) == together(average_linkage(rows, count, graph, cut, constraints).parts())


@steady
@given(seeds, st.integers(2, 60), st.integers(1, 4))
def test_no_merge_is_higher_than_what_its_parts_are_made_of(seed: int, n: int, near: int) -> None:
    chance = np.random.default_rng(seed)
    rows, graph = chance_rows(n, 4, seed), chance.integers(-1, n, (n, near))
    merges = average_linkage(rows, chance.integers(1, 5, n), graph, -1.0, RoundConstraints())
    least = np.full(n, np.inf)
    for into, gone, height in zip(merges.into, merges.gone, merges.height, strict=True):
        assert height <= least[into]
        assert height <= least[gone]
        least[into] = height


@pytest.mark.parametrize("groups", [120, 1500])
def test_a_few_large_topics_are_seen_although_nothing_seems_alike(groups: int) -> None:
    topics = chance_rows(2, 48, 1)
    rows = unit(unit(topics - topics.mean(0))[np.arange(groups) % 2] + 1.7 * chance_rows(groups, 48, 2))
    graph, similarity = nearest_graph(rows, arrivals(rows))
    smooth = smoothed(rows, graph, similarity)
    assert micro_clusters_per_topic(smooth) < 2
    assert merge_threshold(smooth, np.ones(groups, np.int64), graph, RoundConstraints())[0] < 0.5
