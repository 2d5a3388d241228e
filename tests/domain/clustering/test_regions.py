"""Regions: which texts share a merge threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.plan import Plan, plan
from soulcaster.domain.clustering.consolidation.regions import FEWEST_OF_HALF, regions
from soulcaster.domain.clustering.features.vectors import Slots, Vectors, unit
from tests.domain.clustering.graphs import arrivals, known, one_source, planted, seeds, steady, together, worded
from tests.domain.clustering.make import chance_rows

ALONE, GROUPED = 300, 300


def two_kinds() -> tuple[Vectors, Slots, Slots]:
    """Texts of one subject that are all different, and texts in ten topics; their topics, and their kinds."""
    alone = unit(0.6 * chance_rows(1, 128, 1) + chance_rows(ALONE, 128, 2))
    rows, of = planted(GROUPED, 10, 0.9)
    both = np.concatenate([alone, rows])
    both = unit(both - both.mean(0))
    return both, np.concatenate([100 + np.arange(ALONE), of]), np.repeat([0, 1], [ALONE, GROUPED])


def planned(rows: Vectors, sources: Slots) -> Plan:
    n = len(rows)
    return plan(rows, np.ones(n, np.int64), arrivals(rows), worded(n), known(n), sources, RoundConstraints())


@pytest.mark.parametrize("one", [True, False])
def test_each_kind_gets_the_threshold_that_suits_it(one: bool) -> None:
    rows, topic, kind = two_kinds()
    found = planned(rows, one_source(len(rows)) if one else kind)
    assert found.thresholds[kind == 0].mean() > found.thresholds[kind == 1].mean() + 0.1
    parts = together(found.part)
    assert sum(len(part) == 1 for part in parts) > 0.9 * ALONE
    assert len(parts & together(topic)) > 0.9 * ALONE + 8


def test_what_one_kind_shares_is_no_reason_to_merge() -> None:
    rows, _, kind = two_kinds()
    alone = rows[kind == 0]
    assert (alone @ alone.T)[~np.eye(ALONE, dtype=np.bool_)].mean() > 0.08
    assert planned(rows, kind).thresholds[kind == 0].min() > 0.9


def test_a_threshold_is_above_what_topics_of_one_subject_share() -> None:
    topics, of = planted(300, 10, 0.5)
    rows = unit(np.concatenate([unit(topics + 0.9 * chance_rows(1, 128, 1)), planted(300, 10, 0.9)[0]]))
    found = planned(unit(rows - rows.mean(0)), np.repeat([0, 1], 300))
    smooth = found.smooth[:300]
    shared = float((smooth @ smooth.T)[of[:, None] != of].mean())
    assert shared > 0.1
    assert found.thresholds[:300].min() > shared + 0.4 * (1 - shared)


def test_texts_of_one_kind_are_one_region_whatever_their_sources() -> None:
    rows, _ = planted(400, 20, 0.9)
    sources = np.random.default_rng(1).integers(0, 3, 400)
    assert [region.tolist() for region in regions(rows, np.arange(400), sources)] == [list(range(400))]


def test_a_small_source_goes_with_the_nearest() -> None:
    rows, topic, kind = two_kinds()
    few = np.flatnonzero(topic < 2)  # of two topics, far from the mean of their kind
    sources = kind.copy()
    sources[few] = 2
    found = regions(rows, np.arange(len(rows)), sources)
    assert together(kind) == {frozenset(region.tolist()) for region in found}


def test_a_few_texts_of_another_kind_are_no_region() -> None:
    rows, _, kind = two_kinds()
    some = np.concatenate([np.flatnonzero(kind == 0)[: FEWEST_OF_HALF // 2], np.flatnonzero(kind == 1)])
    assert len(regions(rows[some], np.arange(len(some)), one_source(len(some)))) == 1


@steady
@given(seeds, st.integers(0, 700), st.integers(1, 5), st.floats(0, 3))
def test_each_judged_text_is_in_one_region(seed: int, n: int, sources: int, apart: float) -> None:
    chance = np.random.default_rng(seed)
    source = chance.integers(0, sources, n)
    rows = unit(apart * chance_rows(sources, 8, seed)[source] + chance_rows(n, 8, seed + 1))
    judged = np.flatnonzero(chance.random(n) < 0.9)
    found = regions(rows, judged, source)
    assert sorted(np.concatenate(found).tolist()) == judged.tolist()
    assert all((np.diff(region) > 0).all() for region in found)


@pytest.mark.parametrize("one", [True, False])
def test_the_order_of_arrival_does_not_matter(one: bool) -> None:
    rows, _, kind = two_kinds()
    n = len(rows)
    order = np.random.default_rng(4).permutation(n)
    sources = one_source(n) if one else kind
    expected = {frozenset(region.tolist()) for region in regions(rows, np.arange(n), sources)}
    assert len(expected) == 2
    found = regions(rows[order], np.arange(n), sources[order])
    assert {frozenset(order[region].tolist()) for region in found} == expected


@pytest.mark.parametrize("one", [True, False])
def test_two_large_topics_are_no_kinds(one: bool) -> None:
    rows, of = planted(400, 2, 0.5)
    found = planned(unit(rows - rows.mean(0)), one_source(400) if one else of)
    assert together(found.part) == together(of)
