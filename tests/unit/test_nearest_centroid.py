"""The core against a plain reading of what it promises, over streams with planted clusters."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering import core as core_module
from soulcaster.domain.clustering.core import (
    DEVIATIONS,
    FIRST_CALIBRATION,
    PRIOR_THRESHOLD,
    SAMPLE,
    Assignment,
    NearestCentroid,
    Vectors,
)
from soulcaster.domain.feedback import Brief
from soulcaster.domain.ids import cluster_id_for
from tests.unit.make import brief

DIMENSIONS = 24
Stream = tuple[list[Brief], Vectors]


def planted(seed: int, count: int, centres: int, noise: float) -> Stream:
    """Items around so many centres that share a common part, as sentence embeddings do."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(centres, DIMENSIONS)) + 1.0
    vectors = middles[rng.integers(0, centres, count)] + noise * rng.normal(size=(count, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sources = ["manual", "reddit", "github"]
    items = [brief((seed, n), source=sources[n % 3], text=f"text {n}", minutes=(n * 37) % 100) for n in range(count)]
    return items, vectors.astype(np.float32)


streams = st.builds(
    planted,
    st.integers(0, 10**6),
    st.integers(1, 700),
    st.integers(4, 60),  # the centroid of all there is, less the mean of all there is, has no direction
    st.sampled_from([0.01, 0.2, 0.5, 1.0]),
)
# The examples are the same each time: an item that lies on the threshold to the last bit may fall on either side.
steady = settings(max_examples=30, deadline=None, derandomize=True)


def unit(rows: Any) -> Any:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


@dataclass
class Plain:
    """The same clustering without blocks, index or increments: every centroid is compared, one item at a time."""

    project: str
    members: dict[str, list[int]] = field(default_factory=dict)
    mean: Any = field(default_factory=lambda: np.zeros(DIMENSIONS, np.float32))
    threshold: float = PRIOR_THRESHOLD

    def run(self, items: Sequence[Brief], vectors: Vectors) -> list[tuple[str, str, float, float, str | None, float]]:
        answers = []
        wide = vectors.astype(np.float64)
        for n, item in enumerate(items):
            query = unit(wide[n] - self.mean)
            cosines = {c: float(unit(wide[m].sum(0) / len(m) - self.mean) @ query) for c, m in self.members.items()}
            ranked = sorted(cosines, key=lambda c: -cosines[c])
            best = cosines[ranked[0]] if ranked else -1.0
            joins = bool(ranked) and best >= self.threshold
            cluster = ranked[0] if joins else cluster_id_for(self.project, item.id)
            second = ranked[1:2] if joins else ranked[:1]
            answers.append(
                (
                    cluster,
                    "joined" if joins else "opened",
                    best,
                    self.threshold,
                    second[0] if second else None,
                    cosines[second[0]] if second else -2.0,
                )
            )
            self.members.setdefault(cluster, []).append(n)
            self.calibrate(items[: n + 1], wide[: n + 1])
        return answers

    def calibrate(self, items: Sequence[Brief], vectors: Any) -> None:
        count = len(items)
        if count < FIRST_CALIBRATION or count & (count - 1):
            return
        self.mean = vectors.mean(0)
        smallest = sorted(range(count), key=lambda i: items[i].id)[:SAMPLE]
        sample = unit(vectors[smallest] - self.mean)
        cosines = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
        self.threshold = min(float(cosines.mean() + DEVIATIONS * cosines.std()), PRIOR_THRESHOLD)


def check(answers: Sequence[Assignment], expected: Sequence[Assignment]) -> None:
    """The same, but for the last bits of a cosine, which depend on how many are computed at once."""
    assert [(a.item, a.cluster_id, a.change) for a in answers] == [(e.item, e.cluster_id, e.change) for e in expected]
    for a, e in zip(answers, expected, strict=True):
        assert a.score == pytest.approx(e.score, abs=1e-5)
        assert a.threshold == pytest.approx(e.threshold, abs=1e-5)
        assert a.runner_up_score == (None if e.runner_up_score is None else pytest.approx(e.runner_up_score, abs=1e-5))


def cut(count: int, random_: random.Random) -> list[slice]:
    """Batches of many sizes that together are all of it."""
    slices = []
    start = 0
    while start < count:
        stop = min(count, start + random_.choice([1, 2, 15, 16, 17, 100, 256, 300, 700]))
        slices.append(slice(start, stop))
        start = stop
    return slices


@steady
@given(streams, st.sampled_from([1, 2, 8]))
def test_it_is_what_a_plain_search_gives(stream: Stream, neighbours: int) -> None:
    items, vectors = stream
    # The fewer neighbours the index is asked for, the more often they have all moved within the block.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_module, "_NEIGHBOURS", neighbours)
        answers = NearestCentroid("p", DIMENSIONS).add(items, vectors)
    expected = Plain("p").run(items, vectors)
    assert [(a.item.id, a.cluster_id, a.change) for a in answers] == [
        (item.id, e[0], e[1]) for item, e in zip(items, expected, strict=True)
    ]
    for answer, (_, _, score, threshold, second, second_score) in zip(answers, expected, strict=True):
        assert answer.score == pytest.approx(score, abs=1e-4)
        assert answer.threshold == pytest.approx(threshold, abs=1e-4)
        assert (answer.runner_up_id is None) == (second is None) == (answer.runner_up_score is None)
        if answer.runner_up_score is not None:
            # Two may be equally near; the score is then the same.
            assert answer.runner_up_score == pytest.approx(second_score, abs=1e-4)
            assert answer.runner_up_id != answer.cluster_id


@steady
@given(streams, st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_how_the_stream_is_cut(stream: Stream, random_: random.Random) -> None:
    items, vectors = stream
    whole = NearestCentroid("p", DIMENSIONS).add(items, vectors)
    core = NearestCentroid("p", DIMENSIONS)
    parts: list[Assignment] = []
    for part in cut(len(items), random_):
        parts += core.add(items[part], vectors[part])
    check(parts, whole)


@steady
@given(streams, st.randoms(use_true_random=False))
def test_a_core_that_is_loaded_goes_on_as_the_one_that_was_dumped(stream: Stream, random_: random.Random) -> None:
    items, vectors = stream
    whole = NearestCentroid("p", DIMENSIONS).add(items, vectors)
    core = NearestCentroid("p", DIMENSIONS)
    blobs: dict[bytes, bytes] = {}
    answers: list[Assignment] = []
    for part in cut(len(items), random_):
        answers += core.add(items[part], vectors[part])
        if random_.random() < 0.7:  # dumps need not come after each batch
            blobs |= core.dump()
            if random_.random() < 0.6:
                known = core
                core = NearestCentroid("p", DIMENSIONS)
                # An empty blob is one that is gone: segments do not give it back.
                core.load({key: blob for key, blob in blobs.items() if blob})
                assert len(core) == len(known)
                for answer in answers:
                    assert core.cluster(answer.cluster_id) == known.cluster(answer.cluster_id)
                assert core.dump() == {}
    check(answers, whole)


@steady
@given(streams)
def test_clusters_are_what_their_items_are(stream: Stream) -> None:
    items, vectors = stream
    core = NearestCentroid("p", DIMENSIONS)
    answers = core.add(items, vectors)
    assert [a.item for a in answers] == items  # each exactly once, in order
    sizes = Counter(a.cluster_id for a in answers)
    assert len(core) == len(sizes) == sum(a.change == "opened" for a in answers)
    assert sum(sizes.values()) == len(items)
    for cluster_id, size in sizes.items():
        mine = [a.item for a in answers if a.cluster_id == cluster_id]
        first = next(a for a in answers if a.cluster_id == cluster_id)
        cluster = core.cluster(cluster_id)
        assert cluster is not None
        assert (first.change, cluster_id) == ("opened", cluster_id_for("p", first.item.id))
        assert (cluster.id, cluster.size, cluster.title) == (cluster_id, size, first.item.title)
        assert cluster.sources == tuple(sorted({i.source for i in mine}))
        assert cluster.created_at == min(i.created_at for i in mine)
        assert cluster.updated_at == max(i.created_at for i in mine)
    for a in answers:
        assert (a.score >= a.threshold) == (a.change == "joined")


def test_a_dump_holds_only_what_has_changed() -> None:
    items, vectors = planted(1, 600, 20, 0.1)
    core = NearestCentroid("p", DIMENSIONS)
    core.add(items[:590], vectors[:590])
    everything = core.dump()
    assert core.dump() == {}
    touched = {a.cluster_id for a in core.add(items[590:], vectors[590:])}
    changed = core.dump()
    assert {key[5:].decode() for key in changed if key[:1] == b"c"} == touched
    assert len(changed) < len(everything) / 4


def test_the_sample_stays_of_its_size_and_no_order_bends_it() -> None:
    items, vectors = planted(2, 700, 30, 0.3)
    kept = []
    for order in (range(700), range(699, -1, -1)):
        core = NearestCentroid("p", DIMENSIONS)
        core.add([items[i] for i in order], vectors[list(order)])
        sampled = {key for key, blob in core.dump().items() if key[:1] == b"s" and blob}
        assert len(sampled) == SAMPLE
        kept.append(sampled)
    assert kept[0] == kept[1]


def test_what_left_the_sample_does_not_come_back_with_a_load() -> None:
    items, vectors = planted(2, 700, 30, 0.3)
    core = NearestCentroid("p", DIMENSIONS)
    core.add(items[:300], vectors[:300])
    first = core.dump()
    core.add(items[300:], vectors[300:])
    after = first | core.dump()
    left = {key for key in first if key[:1] == b"s" and not after[key]}
    assert left
    assert sum(key[:1] == b"s" and bool(blob) for key, blob in after.items()) == SAMPLE


def test_of_another_project_other_ids() -> None:
    items, vectors = planted(3, 5, 5, 0.1)
    one = {a.cluster_id for a in NearestCentroid("p", DIMENSIONS).add(items, vectors)}
    other = {a.cluster_id for a in NearestCentroid("q", DIMENSIONS).add(items, vectors)}
    assert not one & other


@pytest.mark.parametrize("texts", [1, 2, 4, 10])
def test_equal_texts_are_together_however_few_texts_there_are(texts: int) -> None:
    rng = np.random.default_rng(texts)
    vectors = unit(rng.normal(size=(texts, DIMENSIONS)) + 0.5).astype(np.float32)
    core = NearestCentroid("p", DIMENSIONS)
    answers = core.add([brief(n) for n in range(400)], vectors[np.arange(400) % texts])
    for text in range(texts):
        assert len({a.cluster_id for a in answers[text::texts]}) == 1


def test_vectors_that_say_nothing() -> None:
    core = NearestCentroid("p", DIMENSIONS)
    items = [brief(n) for n in range(40)]
    answers = core.add(items, np.zeros((40, DIMENSIONS), np.float32))
    assert all(np.isfinite(a.score) and np.isfinite(a.threshold) for a in answers)
    again = NearestCentroid("p", DIMENSIONS)
    again.load(core.dump())
    assert len(again) == len(core)
    assert core.add([], np.zeros((0, DIMENSIONS), np.float32)) == []
    assert core.cluster("unknown") is None
