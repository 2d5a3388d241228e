"""Plans of what the clusters should be."""

import numpy as np
import pytest

from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.plan import plan
from tests.domain.clustering.graphs import arrivals, known, one_source, planted, together, worded
from tests.domain.clustering.make import chance_rows


@pytest.mark.parametrize("topics", [10, 40])
def test_planted_topics_are_found(topics: int) -> None:
    rows, of = planted(400, topics, 0.5)
    found = plan(
        rows, np.ones(400, np.int64), arrivals(rows), worded(400), known(400), one_source(400), RoundConstraints()
    )
    assert together(found.part) == together(of)


def test_a_wish_for_finer_or_broader_moves_the_cut() -> None:
    rows, _ = planted(200, 10, 1.8)
    count = np.ones(200, np.int64)
    cuts, parts = [], []
    for granularity in ("finer", "fine", "auto", "broad", "broader"):
        wish = RoundConstraints(granularity=granularity)
        found = plan(rows, count, arrivals(rows), worded(200), known(200), one_source(200), wish)
        cuts.append(found.merge_threshold)
        parts.append(len(together(found.part)))
    assert cuts == sorted(cuts, reverse=True)
    assert len(set(cuts)) == 5
    assert parts == sorted(parts, reverse=True)
    assert parts[0] > parts[-1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_groups(n: int) -> None:
    rows = chance_rows(n, 4, 1)
    found = plan(rows, np.ones(n, np.int64), arrivals(rows), worded(n), known(n), one_source(n), RoundConstraints())
    assert len(found.part) == n
    assert np.isfinite(found.merge_threshold)
    same = np.repeat(rows[:1], n, 0)
    found = plan(same, np.ones(n, np.int64), arrivals(same), worded(n), known(n), one_source(n), RoundConstraints())
    assert len(together(found.part)) >= 1


def test_rows_that_say_nothing() -> None:
    rows = np.zeros((20, 4), np.float32)
    found = plan(rows, np.ones(20, np.int64), arrivals(rows), worded(20), known(20), one_source(20), RoundConstraints())
    assert np.isfinite(found.smooth).all()
    assert np.isfinite(found.merge_threshold)
