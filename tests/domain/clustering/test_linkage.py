"""Average linkage, against scipy's."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import squareform

from soulcaster.domain.clustering.consolidation.graph import nearest_graph
from soulcaster.domain.clustering.consolidation.linkage import (
    Dendrogram,
    RoundConstraints,
    average_linkage,
    merge_candidates,
    sums_by_part,
)
from tests.domain.clustering.graphs import arrivals, complete, seeds, steady, together
from tests.domain.clustering.make import chance_rows


@steady
@given(seeds, st.integers(2, 14), st.floats(-0.2, 0.9), st.booleans())
def test_along_a_complete_graph_it_is_average_linkage(seed: int, n: int, threshold: float, weighted: bool) -> None:
    rows = chance_rows(n, 5, seed)
    count = np.random.default_rng(seed).integers(1, 4, n) if weighted else np.ones(n, np.int64)
    part = average_linkage(rows, count, complete(n), threshold, RoundConstraints()).parts()
    each = np.repeat(np.arange(n), count)
    distance = 1 - rows[each].astype(np.float64) @ rows[each].T.astype(np.float64)
    np.fill_diagonal(distance, 0)
    distance[each[:, None] == each[None, :]] = 0
    tree = scipy_linkage(squareform(distance, checks=False), "average")
    flat = fcluster(tree, 1 - threshold, "distance")
    if np.abs(tree[:, 2] - (1 - threshold)).min() > 1e-4:
        first = np.searchsorted(each, np.arange(n))
        assert together(part) == together(flat[first])
        assert all(part[p] == p for p in part)


@steady
@given(seeds, st.integers(3, 30), st.floats(-0.5, 0.8), st.data())
def test_what_people_want_comes_before_similarity(seed: int, n: int, threshold: float, data: st.DataObject) -> None:
    rows = chance_rows(n, 3, seed)
    chance = np.random.default_rng(seed)
    must_link = {int(slot): int(slot) % 3 for slot in chance.permutation(n)[: data.draw(st.integers(0, n))]}
    fixed_links = {slot for slot, link in must_link.items() if link == 0}
    fixed = frozenset(fixed_links if data.draw(st.booleans()) else ())
    sides: dict[int, dict[int, int]] = {}
    for separation in range(data.draw(st.integers(0, 3))):
        # Two must-links, one on each side, and others.
        for slot in range(n):
            side = chance.integers(0, 4)
            if slot not in must_link and side < 2:
                sides.setdefault(slot, {})[separation] = int(side)
        for slot, link in must_link.items():
            if link and separation == 0:
                sides.setdefault(slot, {})[0] = link - 1
    part = average_linkage(
        rows, np.ones(n, np.int64), complete(n), threshold, RoundConstraints(must_link, sides, fixed)
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
def test_what_is_nearly_near_enough_is_told_likeliest_first(
    seed: int, n: int, threshold: float, weighted: bool
) -> None:
    rows = chance_rows(n, 3, seed)
    count = np.random.default_rng(seed).integers(1, 4, n) if weighted else np.ones(n, np.int64)
    part = average_linkage(rows, count, complete(n), threshold, RoundConstraints()).parts()
    expected = {}
    for one, other in itertools.combinations(np.unique(part).tolist(), 2):
        mine, theirs = part == one, part == other
        expected[one, other] = float(
            np.average(rows[mine] @ rows[theirs].T, weights=np.outer(count[mine], count[theirs]))
        )
    apart = merge_candidates(rows, count, complete(n), part, np.full(n, threshold, np.float32))
    assert [near.linkage for near in apart] == sorted((near.linkage for near in apart), reverse=True)
    for near in apart:
        assert near.linkage == pytest.approx(expected[near.one, near.other], abs=1e-5)
        assert threshold - 0.15 <= near.linkage < threshold
    told = {(near.one, near.other) for near in apart}
    assert {pair for pair, link in expected.items() if threshold - 0.1499 < link < threshold - 0.0001} <= told


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
    for threshold in some:
        assert together(merges.parts(threshold)) == together(
            average_linkage(rows, count, graph, threshold, constraints).parts()
        )


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


@steady
@given(seeds, st.integers(0, 90), st.integers(1, 90))
def test_sums_are_those_of_a_plain_loop_to_the_last_bit(seed: int, n: int, parts: int) -> None:
    chance = np.random.default_rng(seed)
    rows = chance_rows(n, 5, seed)
    count = chance.integers(1, 50, n)
    for part in (chance.integers(0, min(parts, max(1, n)), n), np.arange(n)):
        expected = np.zeros_like(rows)
        for row, items, of in zip(rows, count, part.tolist(), strict=True):
            expected[of] += row * np.float32(items)
        assert np.array_equal(sums_by_part(rows, count, part), expected)


@steady
@given(seeds, st.integers(1, 40), st.floats(0.0, 0.9))
def test_where_all_thresholds_are_equal_parts_are_those_of_one(seed: int, n: int, threshold: float) -> None:
    rows = chance_rows(n, 4, seed)
    graph, _ = nearest_graph(rows, arrivals(rows))
    count = np.random.default_rng(seed).integers(1, 5, n)
    merges = average_linkage(rows, count, graph, -1.0, RoundConstraints(dict.fromkeys(range(0, n, 7), 0)))
    equal = np.full(n, threshold, np.float32)
    assert together(merges.parts_by(equal, count)) == together(merges.parts(float(equal[0])))


def test_one_with_a_higher_threshold_stays_out_and_the_others_go_on_without_it() -> None:
    height = np.array([0.9, 0.8, 0.7], np.float32)
    for strict in range(4):
        for order in itertools.permutations(range(4)):
            at = np.array(order)
            # One and two are merged, then three, then four: whoever is strict is not, and the numbers do not matter.
            into = np.minimum.accumulate(at)[:-1]
            gone = np.maximum(np.minimum.accumulate(at)[:-1], at[1:])
            into = np.minimum(into, at[1:])
            merges = Dendrogram(np.arange(4), into, gone, height)
            thresholds = np.full(4, 0.6, np.float32)
            thresholds[at[strict]] = 0.95
            parts = together(merges.parts_by(thresholds, np.ones(4, np.int64)))
            rest = frozenset(at[[i for i in range(4) if i != strict]].tolist())
            if strict >= 2:
                assert parts == {rest, frozenset({int(at[strict])})}
            else:
                assert frozenset({int(at[0]), int(at[1])}) not in parts


def test_the_threshold_of_a_part_is_the_mean_over_its_items() -> None:
    merges = Dendrogram(np.arange(3), np.array([0, 0]), np.array([1, 2]), np.array([0.9, 0.7], np.float32))
    thresholds = np.array([0.6, 0.85, 0.5], np.float32)
    assert together(merges.parts_by(thresholds, np.array([9, 1, 1]))) == {frozenset({0, 1, 2})}
    assert together(merges.parts_by(thresholds, np.array([1, 9, 1]))) == {frozenset({0, 1}), frozenset({2})}
