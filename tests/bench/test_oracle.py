"""The incremental walk, compared with cutting the same dendrogram at every height."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from soulcaster.bench import oracle
from soulcaster.bench.oracle import best_cut
from soulcaster.bench.scores import all_singletons, score
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.errors import BadInput

# The examples are the same every time, because two merges can be as close as the last bits of a cosine.
steady = settings(deadline=None, derandomize=True)


def planted(seed: int, count: int, labels: int, noise: float) -> tuple[Vectors, list[int]]:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, labels, count)
    rows = rng.normal(size=(labels, 12))[gold] + noise * rng.normal(size=(count, 12))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), gold.tolist()


def corners(seed: int, count: int) -> tuple[Vectors, list[int]]:
    """Return unit vectors whose cosines are exact, many of them equal, with labels that partly follow them."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 8, count)
    rows = np.float32(0.5) * (1 - 2 * (which[:, None] >> np.arange(4) & 1))
    return rows.astype(np.float32), np.where(rng.random(count) < 0.7, which % 5, rng.integers(0, 5, count)).tolist()


def check(vectors: Vectors, gold: list[int]) -> None:
    wide = vectors.astype(np.float64)
    merges = linkage(squareform(np.maximum(1 - wide @ wide.T, 0), checks=False), "average")
    cuts = [fcluster(merges, height, "distance") for height in np.unique(merges[:, 2])]
    plain = max([all_singletons(gold).bcubed_f1, *(score(cut.tolist(), gold).bcubed_f1 for cut in cuts)])
    found = best_cut(vectors, gold)
    assert found.bcubed_f1 == pytest.approx(plain, abs=1e-9)
    if found.threshold is None:
        assert found.clusters == len(gold)
    else:
        own = score(fcluster(merges, 1 - found.threshold + 1e-6, "distance").tolist(), gold)
        assert own.bcubed_f1 == pytest.approx(plain, abs=1e-9)
        assert own.clusters == found.clusters


@steady
@given(
    st.builds(planted, st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 8), st.sampled_from([0.1, 0.5, 2.0]))
)
def test_no_cut_is_better(data: tuple[Vectors, list[int]]) -> None:
    check(*data)


@steady
@given(st.builds(corners, st.integers(0, 10**6), st.integers(2, 40)))
def test_merges_of_one_height_are_all_made_or_none(data: tuple[Vectors, list[int]]) -> None:
    check(*data)


def test_more_rows_than_are_compared_at_once() -> None:
    check(*planted(1, 600, 20, 0.5))


def test_clear_topics_are_found() -> None:
    vectors, gold = planted(2, 60, 5, 0.01)
    found = best_cut(vectors, gold)
    assert found.bcubed_f1 == pytest.approx(1)
    assert found.clusters == 5
    assert found.threshold is not None
    assert found.threshold > 0.9


def test_where_every_item_has_its_own_label_nothing_is_merged() -> None:
    vectors, _ = planted(3, 20, 2, 0.01)
    assert best_cut(vectors, range(20)) == oracle.Oracle(1.0, None, 20)


def test_one_item_is_one_cluster() -> None:
    assert best_cut(np.ones((1, 1), np.float32), ["a"]) == oracle.Oracle(1.0, None, 1)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "MAX_ROWS", 3)
    with pytest.raises(BadInput, match="4 items are too many"):
        best_cut(np.eye(4, dtype=np.float32), range(4))
