"""Clusters that may be two."""

import numpy as np
import pytest

from soulcaster.domain.clustering.consolidation.identity import by_number
from soulcaster.domain.clustering.consolidation.linkage import RoundConstraints
from soulcaster.domain.clustering.consolidation.plan import Plan
from soulcaster.domain.clustering.consolidation.split_candidates import split_candidates


def test_a_cluster_whose_halves_are_not_alike_may_be_two() -> None:
    one, other = np.array([1, 0], np.float32), np.array([0.5, 0.75**0.5], np.float32)  # 60 degrees apart
    smooth = np.array([one] * 5 + [other] * 4 + [one] * 3, np.float32)
    nothing = np.zeros((12, 0))
    thresholds = np.full(12, 0.9, np.float32)
    plan = Plan(np.zeros(12, np.int64), smooth, nothing.astype(np.int64), nothing.astype(np.float32), thresholds, 0.9)
    final, count = np.array([7] * 9 + [8] * 3), np.ones(12, np.int64)
    [candidate] = split_candidates(plan, by_number(final), final, 8, count, RoundConstraints())
    assert (candidate.number, candidate.slots) == (7, (5, 6, 7, 8))
    assert candidate.linkage == pytest.approx(0.5)
    assert not split_candidates(
        plan, by_number(final), final, 8, count, RoundConstraints(must_link={2: 1})
    )  # a person has put it together
    assert not split_candidates(
        plan, by_number(final), final, 6, count, RoundConstraints()
    )  # it was made in this round
