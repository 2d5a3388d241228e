from collections.abc import Hashable, Sequence
from fractions import Fraction
from statistics import mean

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soulcaster.bench.scores import all_singletons, one_cluster, score

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "c", "d"])), min_size=1, max_size=60)


def plain(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> tuple[float, float, float]:
    """Return B-cubed by its definition, item by item."""
    precisions, recalls = [], []
    for cluster, label in zip(predicted, gold, strict=True):
        of_cluster = [g for p, g in zip(predicted, gold, strict=True) if p == cluster]
        of_label = [p for p, g in zip(predicted, gold, strict=True) if g == label]
        precisions.append(Fraction(of_cluster.count(label), len(of_cluster)))
        recalls.append(Fraction(of_label.count(cluster), len(of_label)))
    precision, recall = mean(precisions), mean(recalls)
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall))


@given(PAIRS)
@example([(0, "a")])
@example([(0, "a"), (0, "a"), (0, "b"), (1, "b"), (2, "c")])
def test_bcubed_is_what_its_definition_gives(pairs: list[tuple[int, str]]) -> None:
    predicted, gold = zip(*pairs, strict=True)
    found = score(predicted, gold)
    assert (found.bcubed_precision, found.bcubed_recall, found.bcubed_f1) == pytest.approx(plain(predicted, gold))
    assert found.clusters == len(set(predicted))


@given(PAIRS, st.data())
def test_items_that_are_not_scored_still_count_in_the_clusters(
    pairs: list[tuple[int, str]], data: st.DataObject
) -> None:
    predicted, gold = zip(*pairs, strict=True)
    chosen = data.draw(st.lists(st.sampled_from(range(len(pairs))), min_size=1, unique=True))
    found = score(predicted, gold, np.array(sorted(chosen)))
    alone = [plain_precision(predicted, gold, at) for at in chosen]
    assert found.bcubed_precision == pytest.approx(mean(alone))
    assert found.clusters == len({predicted[at] for at in chosen})


def plain_precision(predicted: Sequence[Hashable], gold: Sequence[Hashable], at: int) -> float:
    of_cluster = [g for p, g in zip(predicted, gold, strict=True) if p == predicted[at]]
    return of_cluster.count(gold[at]) / len(of_cluster)


def test_precision_counts_double_in_f_half() -> None:
    torn, mixed = score([0, 1], ["a", "a"]), score([0, 0], ["a", "b"])
    assert (torn.bcubed_f1, mixed.bcubed_f1) == pytest.approx((2 / 3, 2 / 3))
    assert (torn.bcubed_f05, mixed.bcubed_f05) == pytest.approx((1.25 * 0.5 / 0.75, 1.25 * 0.5 / 1.125))


@given(PAIRS, st.randoms(use_true_random=False))
def test_neither_names_nor_order_count(pairs: list[tuple[int, str]], random_: object) -> None:
    predicted, gold = zip(*pairs, strict=True)
    renamed: list[Hashable] = [("cluster", -p) for p in predicted]
    again = score(renamed[::-1], gold[::-1])
    found = score(predicted, gold)
    for name in found.__slots__:
        assert getattr(again, name) == pytest.approx(getattr(found, name), abs=1e-12)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_the_labels_themselves_are_right_in_every_way(gold: list[int]) -> None:
    found = score([f"cluster of {label}" for label in gold], gold)
    assert (found.bcubed_precision, found.bcubed_recall, found.bcubed_f1) == pytest.approx((1, 1, 1))
    assert (found.v_measure, found.ari) == pytest.approx((1, 1))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40))
def test_all_alone_and_all_together(gold: list[int]) -> None:
    alone, together = all_singletons(gold), one_cluster(gold)
    assert (alone.bcubed_precision, together.bcubed_recall) == (1, 1)
    assert (alone.clusters, together.clusters) == (len(gold), 1)
    assert alone.bcubed_recall == pytest.approx(len(set(gold)) / len(gold))
    assert together.bcubed_precision == pytest.approx(sum((gold.count(g) / len(gold)) for g in gold) / len(gold))


def test_v_measure_and_ari_of_a_known_case() -> None:
    # Of 15 pairs 6 are in one cluster, 3 of one label, 2 both; by chance it would be 6 * 3 / 15, at most their mean.
    found = score([0, 0, 0, 1, 1, 1], ["a", "a", "b", "c", "c", "b"])
    assert found.ari == pytest.approx((2 - 1.2) / (4.5 - 1.2))
    # In bits: a label has log2 3, within a cluster still H(2/3, 1/3); a cluster has 1, within a label still 1/3.
    homogeneity, completeness = 1 - 0.918296 / 1.584963, 2 / 3
    assert found.v_measure == pytest.approx(2 * homogeneity * completeness / (homogeneity + completeness), abs=1e-5)


@pytest.mark.parametrize(("predicted", "gold"), [([], []), ([1], []), ([1, 2], ["a"])])
def test_as_many_clusters_as_labels_and_some(predicted: list[int], gold: list[str]) -> None:
    with pytest.raises(ValueError, match="items have a cluster"):
        score(predicted, gold)
