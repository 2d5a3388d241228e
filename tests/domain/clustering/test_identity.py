"""Ids stay with the substance."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation import identity
from soulcaster.domain.clustering.consolidation.identity import (
    LEAST_BUDGET,
    MOST_MOVED,
    Decision,
    Snapshot,
    decide,
    match,
)
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.lexical import Lexicon
from soulcaster.domain.clustering.features.space import SimilaritySpace
from soulcaster.domain.clustering.features.vectors import Slots, Vectors
from soulcaster.domain.clustering.micro_clusters.index import IndexSnapshot
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from tests.domain.clustering.make import chance_rows

steady = settings(max_examples=80, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)


@steady
@given(st.data(), st.integers(1, 30), st.integers(1, 8), st.integers(1, 8))
def test_parts_and_clusters_are_matched_by_the_items_they_share(
    data: st.DataObject, n: int, parts: int, clusters: int
) -> None:
    part = np.array(data.draw(st.lists(st.integers(0, parts - 1), min_size=n, max_size=n)))
    cluster = np.array(data.draw(st.lists(st.integers(0, clusters - 1), min_size=n, max_size=n)), np.int32)
    count = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)))
    keeper, merged, parents = match(part, cluster, count)
    of_part, of_cluster = set(part.tolist()), set(cluster.tolist())
    shared: Counter[tuple[int, int]] = Counter()
    for p, c, items in zip(part.tolist(), cluster.tolist(), count.tolist(), strict=True):
        shared[p, c] += items
    # Every part has an id of its own, and every id there was is a part's or merged into one that is.
    assert keeper.keys() == of_part
    assert len(set(keeper.values())) == len(keeper)
    standing = {number for number in keeper.values() if number >= 0}
    assert standing | merged.keys() == of_cluster
    assert not standing & merged.keys()
    assert set(merged.values()) <= standing
    assert parents.keys() == {number for number in keeper.values() if number < 0}
    assert set(parents.values()) <= of_cluster
    # The largest share keeps its id; no part and cluster that share more than either has with its own are apart.
    share = {p: shared[p, number] for p, number in keeper.items() if number >= 0}
    kept_by = {number: p for p, number in keeper.items()}
    for (p, c), items in shared.items():
        assert items <= max(share.get(p, 0), share.get(kept_by.get(c, -1), 0))
    for p, number in keeper.items():
        if number >= 0:
            assert shared[p, number] > 0
        else:
            assert shared[p, parents[number]] == max(items for (q, _), items in shared.items() if q == p)
    for number, into in merged.items():
        went = {keeper[p]: items for (p, c), items in shared.items() if c == number and keeper[p] >= 0}
        assert went[into] == max(went.values())


def test_of_two_equal_shares_the_older_cluster_stays() -> None:
    keeper, merged, parents = match(np.array([5, 5]), np.array([3, 1], np.int32), np.array([2, 2]))
    assert (keeper, merged, parents) == ({5: 1}, {3: 1}, {})


def snapshot(
    rows: Vectors, cluster: Slots, count: Slots, constraints: RoundConstraints, *, unbounded: bool = False
) -> Snapshot:
    n = len(rows)
    near = np.argsort(-(rows @ rows.T), axis=1)[:, 1:13]
    neighbours = np.full((n, 12), -1, np.int64)
    neighbours[:, : near.shape[1]] = near
    index = IndexSnapshot(
        SimilaritySpace(np.zeros(rows.shape[1], np.float32), 0.35),
        np.arange(n),
        n,
        rows.astype(np.float16),
        chance_rows(n, WORD_DIMENSIONS, 1).astype(np.float16),
        count,
        cluster.astype(np.int32),
        neighbours,
        np.zeros(n, np.int32),
    )
    micro_clusters = [MicroCluster(bytes([i % 256]) * 16, f"title {i}", "", (), 0, 0, (0,)) for i in range(n)]
    titled_sizes = np.bincount(cluster, weights=count, minlength=int(cluster.max()) + 4).astype(int).tolist()
    return Snapshot(index, constraints, micro_clusters, Lexicon(), titled_sizes, int(count.sum()), 0, unbounded)


def carried_out(before: Slots, decision: Decision) -> list[int]:
    after = [decision.merged.get(number, number) for number in before.tolist()]
    for move in decision.moves:
        after[move.slot] = move.to
    return after


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds, st.integers(1, 60), st.integers(1, 6), st.integers(1, 10), st.integers(1, 40), st.booleans())
def test_a_decision_leaves_every_group_in_one_standing_cluster(
    seed: int, n: int, topics: int, clusters: int, most: int, unbounded: bool
) -> None:
    chance = np.random.default_rng(seed)
    rows = chance_rows(topics, 16, seed)[chance.integers(0, topics, n)] + 0.3 * chance_rows(n, 16, seed + 1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    before = chance.integers(0, clusters, n)
    count = chance.integers(1, most + 1, n)
    must_link = {int(slot): 1 for slot in chance.permutation(n)[:3]} if seed % 3 == 0 else {}
    decision = decide(snapshot(rows, before, count, RoundConstraints(must_link), unbounded=unbounded))
    after = carried_out(before, decision)
    assert not decision.merged.keys() & set(after)
    assert set(decision.merged.values()) <= set(after)
    assert set(before.tolist()) == (set(after) & set(before.tolist())) | decision.merged.keys()
    assert {number for number in after if number < 0} == decision.parents.keys()
    assert len({move.slot for move in decision.moves}) == len(decision.moves)
    settled = [decision.merged.get(number, number) for number in before.tolist()]
    assert all(settled[move.slot] != move.to for move in decision.moves)
    # What moves, merges and people's word aside, stays within the budget.
    moved = sum(int(count[move.slot]) for move in decision.moves if move.slot not in must_link)
    if not unbounded:
        assert moved <= max(LEAST_BUDGET, MOST_MOVED * count.sum())
    all_moved = sum(int(count[move.slot]) for move in decision.moves)
    assert decision.moved_share == pytest.approx(all_moved / count.sum())
    assert len({after[slot] for slot in must_link}) <= 1
    # Whatever has changed is titled_sizes, with the size it then has.
    sizes: dict[int, int] = defaultdict(int)
    for number, items in zip(after, count.tolist(), strict=True):
        sizes[number] += items
    changed = {m.to for m in decision.moves} | {settled[m.slot] for m in decision.moves} | set(decision.merged.values())
    assert changed <= decision.description.titles.keys() <= sizes.keys()
    assert all(title.size == sizes[number] for number, title in decision.description.titles.items())
    for apart in decision.description.merge_candidates:
        assert apart.one != apart.other
        assert {apart.one, apart.other} <= set(after)


def test_what_is_left_over_is_done_by_later_rounds_and_then_it_is_settled() -> None:
    rows = np.repeat(chance_rows(2, 16, 3), 150, 0) + 0.2 * chance_rows(300, 16, 4)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    before = np.arange(300) % 2
    rounds = []
    for _ in range(8):
        decision = decide(snapshot(rows, before, np.ones(300, np.int64), RoundConstraints()))
        rounds.append((len(decision.moves), decision.complete))
        after = carried_out(before, decision)
        before = np.array([number if number >= 0 else 10 - number for number in after])
    assert rounds[0] == (LEAST_BUDGET, False)
    assert rounds[-1] == (0, True)
    assert all(moves <= LEAST_BUDGET for moves, _ in rounds)
    assert len(set(before[:150])) == len(set(before[150:])) == len(set(before)) - 1 == 1


def test_a_decision_names_groups_by_their_slots() -> None:
    rows = np.repeat(chance_rows(2, 16, 3), 30, 0) + 0.2 * chance_rows(60, 16, 4)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    given = snapshot(rows, np.arange(60) % 3, np.ones(60, np.int64), RoundConstraints())
    slots = 3 * np.arange(60) + 1  # of three slots two are free
    plain, decision = (
        decide(replace(given, index=replace(given.index, slots=of, size=size)))
        for of, size in ((np.arange(60), 60), (slots, 200))
    )
    assert plain.moves
    assert decision.moves == tuple(replace(move, slot=3 * move.slot + 1) for move in plain.moves)
    assert decision.description.split_candidates == tuple(
        replace(candidate, slots=tuple(3 * place + 1 for place in candidate.slots))
        for candidate in plain.description.split_candidates
    )
    assert (decision.merged, decision.description.titles, decision.merge_threshold) == (
        plain.merged,
        plain.description.titles,
        plain.merge_threshold,
    )
    index, plain_index = decision.search.faiss_index, plain.search.faiss_index
    assert index.ntotal == 200
    assert np.array_equal(index.reconstruct_n(0, 200)[slots], plain_index.reconstruct_n(0, 60))


def test_a_group_above_the_budget_holds_up_no_other() -> None:
    rows = np.repeat(chance_rows(2, 16, 3), 30, 0) + 0.2 * chance_rows(60, 16, 4)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    before = (np.arange(60) >= 30).astype(np.int64)
    count = np.ones(60, np.int64)
    count[:30] = 20
    before[0], count[0] = 1, 100  # it would gain most, and is too large for any round
    before[40] = 0
    decision = decide(snapshot(rows, before, count, RoundConstraints()))
    assert [move.slot for move in decision.moves] == [40]
    assert decision.complete


def test_a_pinned_cluster_stays_as_it_is() -> None:
    rows = np.repeat(chance_rows(3, 16, 3), 10, 0) + 0.2 * chance_rows(30, 16, 4)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    before = np.arange(30) % 3
    pinned = [slot for slot in range(30) if before[slot] == 1]
    constraints = RoundConstraints(dict.fromkeys(pinned, -2), {}, frozenset(pinned))
    decision = decide(snapshot(rows, before, np.ones(30, np.int64), constraints))
    after = carried_out(before, decision)
    assert [slot for slot in range(30) if after[slot] == 1] == pinned
    assert decision.moves


def test_a_new_cluster_has_a_title_though_the_number_before_it_is_an_alias() -> None:
    rows = np.repeat(chance_rows(2, 16, 3), 5, 0).astype(np.float32)
    given = snapshot(rows, np.zeros(10, np.int64), np.ones(10, np.int64), RoundConstraints())
    given = Snapshot(given.index, given.constraints, given.micro_clusters, given.lexicon, [10, 5, 5], 10, 0)
    decision = decide(given)
    assert list(decision.parents.values()) == [0]
    assert decision.description.titles[-1].title


def same_partition(one: list[int], other: list[int]) -> bool:
    pairs = set(zip(one, other, strict=True))
    return len(pairs) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("start", ["alone", "mixed up"])
def test_what_is_too_much_for_one_round_is_done_in_several(monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    chance = np.random.default_rng(5)
    rows = chance_rows(3, 16, 5)[chance.integers(0, 3, 40)] + 0.2 * chance_rows(40, 16, 6)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    before = np.arange(40) if start == "alone" else chance.integers(0, 4, 40)
    count = np.full(40, 2)
    at_once = carried_out(before, decide(snapshot(rows, before, count, RoundConstraints(), unbounded=True)))
    monkeypatch.setattr(identity, "MOST_MERGED", 3)
    monkeypatch.setattr(identity, "MOST_ITEMS", 10)
    rounds = 0
    while True:
        decision = decide(snapshot(rows, before, count, RoundConstraints(), unbounded=True))
        assert len(decision.merged) <= 3
        assert sum(int(count[move.slot]) for move in decision.moves) <= 10
        after = carried_out(before, decision)
        before = np.array([number if number >= 0 else 1000 * (rounds + 1) - number for number in after])
        rounds += 1
        if decision.complete:
            break
    assert rounds > 2
    assert same_partition(before.tolist(), at_once)
