"""The index of micro-clusters: means, and the search for the nearest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.vectors import Slots, Vectors, unit
from soulcaster.domain.clustering.micro_clusters.index import RERANKED, MicroClusterIndex
from soulcaster.domain.clustering.micro_clusters.index_codec import dump_index, load_index
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from tests.domain.clustering.make import chance_rows

D = 24
steady = settings(max_examples=30, deadline=None, derandomize=True)


def micro_cluster(n: int) -> MicroCluster:
    return MicroCluster(n.to_bytes(16, "big"), f"title {n}", f"text {n}", ("manual",), float(n), float(n), (0, n))


def words(n: int, seed: int) -> Vectors:
    """Word vectors, of which most are zero."""
    random = np.random.default_rng(seed)
    return unit(
        (random.standard_normal((n, WORD_DIMENSIONS)) * (random.random((n, WORD_DIMENSIONS)) < 0.1)).astype("f")
    )


def filled(slots: Slots, vectors: Vectors, said: Vectors, batch: int) -> MicroClusterIndex:
    """An index that items have joined, so many at a time."""
    index = MicroClusterIndex(D)
    for at in range(0, len(slots), batch):
        some = slots[at : at + batch].tolist()
        index.reserve(len(some))
        for slot in some:
            if slot == len(index):
                index.open(micro_cluster(slot), slot % 7, list(range(min(slot, 5))))
        index.join(some, vectors[at : at + batch], said[at : at + batch])
    return index


def in_turn(n: int, k: int, seed: int) -> Slots:
    """The micro-cluster that each of n items joins; they open in order."""
    slots = np.random.default_rng(seed).integers(0, k, n)
    first = {slot: i for i, slot in enumerate(dict.fromkeys(slots.tolist()))}
    return np.array([first[slot] for slot in slots.tolist()])


def f(index: MicroClusterIndex, mean: Vectors, said: Vectors) -> Vectors:
    return np.hstack([np.sqrt(0.65) * unit(mean - index.background), np.sqrt(0.35) * unit(said)]).astype(np.float32)


@steady
@given(st.integers(1, 200), st.integers(1, 40), st.sampled_from([1, 7, 256]), st.integers(0, 999))
def test_a_group_is_the_mean_of_its_items(n: int, k: int, batch: int, seed: int) -> None:
    slots, vectors, said = in_turn(n, k, seed), chance_rows(n, D, seed), words(n, seed)
    index = filled(slots, vectors, said, batch)
    for slot in range(len(index)):
        mine = slots == slot
        assert index.counts[slot] == mine.sum()
        assert index.means[slot] == pytest.approx(vectors[mine].mean(0), abs=3e-3)
        assert index.word_means[slot] == pytest.approx(said[mine].mean(0), abs=3e-3)
    expected = f(index, index.means[: len(index)].astype("f"), index.word_means[: len(index)].astype("f"))
    assert index.features_at(np.arange(len(index))) == pytest.approx(expected, abs=1e-5)


def everything(index: MicroClusterIndex) -> Vectors:
    return index.features_at(np.arange(len(index)))


@steady
@given(st.integers(1, RERANKED), st.integers(0, 999))
def test_of_few_groups_all_are_compared(k: int, seed: int) -> None:
    index = filled(np.arange(k), chance_rows(k, D, seed), words(k, seed), 8)
    asked = f(index, chance_rows(20, D, seed + 1), words(20, seed + 1))
    similarities, slots = index.nearest(asked, k=k)
    exact = asked @ everything(index).T
    assert similarities == pytest.approx(-np.sort(-exact, axis=1), abs=1e-5)
    assert np.take_along_axis(exact, slots, 1) == pytest.approx(similarities, abs=1e-5)


def test_of_many_groups_what_is_near_is_found() -> None:
    vectors, said = chance_rows(3000, D, 1), words(3000, 1)
    index = filled(np.arange(3000), vectors, said, 256)
    near = unit(vectors[:300] + 0.3 * chance_rows(300, D, 2))
    similarities, slots = index.nearest(f(index, near, said[:300]), k=1)
    exact = f(index, near, said[:300]) @ everything(index).T
    assert np.mean(slots[:, 0] == exact.argmax(1)) > 0.99
    assert similarities[:, 0] == pytest.approx(np.take_along_axis(exact, slots, 1)[:, 0], abs=1e-5)


def test_no_group_no_neighbour() -> None:
    similarities, slots = MicroClusterIndex(D).nearest(chance_rows(3, D + WORD_DIMENSIONS, 1))
    assert similarities.shape == slots.shape == (3, 0)


def centre(index: MicroClusterIndex, background: Vectors) -> None:
    copied = index.snapshot().around(background)
    index.adopt(copied.build_search(copied.features()))


def test_a_group_that_has_changed_is_found_where_it_is_now() -> None:
    vectors, said = chance_rows(200, D, 1), words(200, 1)
    index = filled(np.arange(100), vectors[:100], said[:100], 256)
    for at in range(100, 200):  # each of them becomes another, in place
        index.join([at - 100] * 50, np.repeat(vectors[at : at + 1], 50, 0), np.repeat(said[at : at + 1], 50, 0))
    similarities, slots = index.nearest(f(index, vectors[100:], said[100:]), k=1)
    assert slots[:, 0].tolist() == list(range(100))
    assert similarities.min() > 0.95


def test_another_background_counts_for_groups_that_changed_meanwhile_too() -> None:
    vectors, said = chance_rows(120, D, 1), words(120, 1)
    index = filled(np.arange(100), vectors[:100], said[:100], 256)
    background = 0.3 * chance_rows(1, D, 9)[0]
    index.track_refreshed()
    copied = index.snapshot().around(background)
    search = copied.build_search(copied.features())
    index.join([3] * 9, np.repeat(vectors[100:101], 9, 0), np.repeat(said[100:101], 9, 0))
    index.reserve(1)
    index.open(micro_cluster(100), 0, [])
    index.join([100], vectors[101:102], said[101:102])
    # Another background in between, as in a small project, must not make it forget what has changed.
    centre(index, background / 2)
    index.adopt(search)
    assert index.background == pytest.approx(background)
    n = len(index)
    assert everything(index) == pytest.approx(f(index, index.means[:n].astype("f"), index.word_means[:n].astype("f")))
    assert index.nearest(everything(index), k=1)[1][:, 0].tolist() == list(range(n))


def test_a_copy_does_not_change() -> None:
    vectors, said = chance_rows(20, D, 1), words(20, 1)
    index = filled(np.arange(10), vectors[:10], said[:10], 256)
    copied = index.snapshot()
    before = copied.features(), copied.counts.copy(), copied.cluster_numbers.copy()
    index.join(list(range(10)), vectors[10:], said[10:])
    index.assign(2, 99)
    assert np.array_equal(copied.features(), before[0])
    assert np.array_equal(copied.counts, before[1])
    assert np.array_equal(copied.cluster_numbers, before[2])


def test_a_divided_group_leaves_its_items_number_and_its_mean() -> None:
    index = filled(np.array([0, 0, 0, 1]), chance_rows(4, D, 1), words(4, 1), 256)
    new = index.divide(0, micro_cluster(2), 1)
    assert new == 2
    assert index.counts[:3].tolist() == [2, 1, 1]
    assert index.cluster_numbers[new] == index.cluster_numbers[0]
    assert np.array_equal(index.means[new], index.means[0])
    assert np.array_equal(*everything(index)[[0, 2]])


@steady
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 999))
def test_groups_that_are_loaded_go_on_as_those_that_were_dumped(n: int, k: int, seed: int) -> None:
    slots, vectors, said = in_turn(n, k, seed), chance_rows(n, D, seed), words(n, seed)
    index = filled(slots, vectors, said, 64)
    blobs = dump_index(index)
    assert dump_index(index) == {}
    random = np.random.default_rng(seed)
    again = random.integers(0, len(index), 5).tolist()
    index.join(again, chance_rows(5, D, seed + 1), words(5, seed + 1))
    index.assign(0, 123)
    index.divide(again[0], micro_cluster(999), 1)
    more = dump_index(index)
    assert {int.from_bytes(key[1:], "big") for key in more if key[:1] == b"g"} == {*again, len(index) - 1}
    blobs.update(more)
    loaded = MicroClusterIndex(D)
    load_index(loaded, *({key[1:]: blob for key, blob in blobs.items() if key[:1] == kind} for kind in (b"g", b"a")))
    centre(loaded, index.background)
    assert len(loaded) == len(index)
    assert np.array_equal(everything(loaded), everything(index))
    for name in ("counts", "cluster_numbers", "neighbours", "means", "word_means"):
        assert np.array_equal(getattr(loaded, name)[: len(index)], getattr(index, name)[: len(index)])
    for mine, theirs in zip(loaded.micro_clusters, index.micro_clusters, strict=True):
        assert (mine.item_id, mine.title, mine.summary) == (theirs.item_id, theirs.title, theirs.summary)
        assert (mine.sources, mine.first, mine.last, mine.fingerprints) == (
            theirs.sources,
            theirs.first,
            theirs.last,
            theirs.fingerprints,
        )
    assert dump_index(loaded) == {}


@steady
@given(st.integers(2, 300), st.data(), st.integers(0, 999), st.sampled_from([1, 30]))
def test_a_group_that_was_given_up_is_never_found(n: int, data: st.DataObject, seed: int, asked: int) -> None:
    vectors, said = chance_rows(n, D, seed), words(n, seed)
    index = filled(np.arange(n), vectors, said, 256)
    gone = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n - 1, unique=True))
    left = sorted(set(range(n)) - set(gone))
    index.free(gone)
    assert len(index) == len(left)
    assert index.slots().tolist() == left
    for _ in range(2):  # as it is, and with a new search
        _, slots = index.nearest(f(index, -vectors[:asked], said[:asked]), k=n)
        assert slots.shape[1] == min(RERANKED, len(left))
        assert set(slots.ravel().tolist()) <= set(left)
        centre(index, index.background)
    copied = index.snapshot()
    assert copied.slots.tolist() == left
    for place, slot in enumerate(left):
        near = [int(of) for of in index.neighbours[slot] if of in left]
        assert [left[of] for of in copied.neighbours[place] if of >= 0] == near


def test_the_lowest_free_slot_is_taken_first_before_a_restart_and_after_it() -> None:
    index = filled(np.arange(6), chance_rows(6, D, 1), words(6, 1), 256)
    stored = dump_index(index)
    index.free([5, 1, 3])
    stored.update(dump_index(index))
    assert [key for key, blob in stored.items() if not blob] == [b"g" + bytes([0, 0, 0, slot]) for slot in (1, 3, 5)]
    loaded = MicroClusterIndex(D)
    load_index(
        loaded, *({key[1:]: blob for key, blob in stored.items() if key[:1] == kind and blob} for kind in (b"g", b"a"))
    )
    centre(loaded, index.background)
    vectors, said = chance_rows(5, D, 2), words(5, 2)
    for of in (index, loaded):
        of.reserve(5)
        slots = [of.open(micro_cluster(10 + i), 9, [0]) for i in range(5)]
        assert slots == [1, 3, 5, 6, 7]
        of.join(slots, vectors, said)
        assert of.means[slots] == pytest.approx(vectors, abs=3e-3)
        assert of.nearest(f(of, vectors, said), k=1)[1][:, 0].tolist() == slots
        assert of.slots().tolist() == list(range(8))
    assert dump_index(index).keys() == dump_index(loaded).keys()
