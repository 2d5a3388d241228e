"""What a cluster is called, and how alike its items are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.consolidation.titles import TERMS, coherence, terms, title
from soulcaster.domain.clustering.features.lexical import Lexicon
from soulcaster.domain.clustering.features.vectors import Slots
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from tests.domain.clustering.make import chance_rows, rows


def micro_cluster(says: str, title: str = "") -> MicroCluster:
    return MicroCluster(bytes(16), title, says, (), 0.0, 0.0, (0,))


def lexicon(*others: str, says: tuple[str, ...]) -> Lexicon:
    made = Lexicon()
    made.add([*others, *says])
    return made


steady = settings(deadline=None)


@dataclass
class Means:
    means: npt.NDArray[np.float16]
    counts: Slots


@steady
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 999), st.sampled_from([0.1, 1.0, 5.0]))
def test_coherence_is_the_mean_cosine_of_its_items(counts: list[int], seed: int, common: float) -> None:
    items = chance_rows(sum(counts), seed=seed) + np.float32(common)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    ends = np.cumsum(counts)
    means = np.stack([items[end - n : end].mean(0) for end, n in zip(ends, counts, strict=True)])
    # A micro-cluster of another cluster is left out.
    index = Means(np.vstack([means[:1], means]).astype(np.float16), np.array([7, *counts]))
    found = coherence(index, np.arange(1, len(counts) + 1))
    if len(items) == 1:
        assert found is None
    else:
        pairs = (items @ items.T)[np.triu_indices(len(items), 1)]
        assert found == pytest.approx(float(pairs.mean()), abs=3e-3)


def test_it_is_called_by_its_most_central_item() -> None:
    f = rows([1, 0.9], [1, 0.1], [0.1, 1])
    index = Means(np.zeros((4, 2), np.float16), np.array([100, 1, 3, 1]))
    micro_clusters = [micro_cluster(says, f"title {says}") for says in ("elsewhere", "one", "two", "three")]
    told = title(index, f, np.array([1, 2, 3]), micro_clusters, lexicon(says=("x",)))
    assert (told.title, told.summary, told.size) == ("title one", "one", 5)
    heavier = title(Means(index.means, np.array([100, 1, 1, 30])), f, np.array([1, 2, 3]), micro_clusters, Lexicon())
    assert heavier.title == "title three"


def test_terms_are_what_the_others_do_not_say() -> None:
    says = ("the card is late today", "card late this week", "Cards are so late", "my card, please")
    known = lexicon(*["the app is slow again"] * 20, says=says)
    found = terms([micro_cluster(s) for s in says], known)
    assert found[:2] == ("card", "late")
    assert len(found) == TERMS == len(set(found))
    assert not {"the", "this", "are"} & set(found)


def test_of_words_with_one_stem_the_most_frequent_stands_for_them() -> None:
    says = ("refunded", "refunds", "refunds")
    assert terms([micro_cluster(s) for s in says], lexicon("hello", says=says))[0] == "refunds"


def test_forms_of_a_word_are_one_term() -> None:
    says = ("cards failed", "cards failed", "card failed", "cards fail", "car stolen")
    found = terms([micro_cluster(s) for s in says], lexicon("hello", says=says))
    assert len(found) == 4
    assert len({"card", "cards"} & set(found)) == len({"fail", "failed"} & set(found)) == 1
    assert {"car", "stolen"} < set(found)


@pytest.mark.parametrize(
    ("says", "expected", "never"),
    [
        (
            "I didn't get it, which haven't they sent, refund",
            {"refund", "sent", "get"},
            {"didn", "didn't", "which", "haven"},
        ),
        ("Ich kann nicht mit der Karte bezahlen", {"karte", "bezahlen"}, {"kann", "nicht", "ich", "mit", "der"}),
        ("ไม่สามารถชำระเงินด้วยบัตรเครดิตได้", {"ชำระ", "บัตร", "เครดิต"}, {"ได้", "ด้วย"}),
        ("मेरा क्रेडिट कार्ड अस्वीकृत हो गया", {"क्रेडिट", "कार्ड", "अस्वीकृत"}, {"हो"}),
        ("我的信用卡被拒绝了", {"信用卡", "拒绝"}, {"被", "了"}),
        ("write to [email] or [phone] about the order", {"write", "order"}, {"email", "phone", "about"}),
    ],
)
def test_terms_are_whole_words_that_say_something(says: str, expected: set[str], never: set[str]) -> None:
    found = set(terms([micro_cluster(says), micro_cluster(says)], lexicon("other texts", says=(says,))))
    assert expected <= found
    assert not never & found


def test_numbers_and_short_words_are_no_terms() -> None:
    assert terms([MicroCluster(bytes(16), "404", "it is 12345 ok", (), 0, 0, (0,))], Lexicon()) == ()


def test_a_group_whose_text_was_deleted_says_nothing() -> None:
    f = rows([1, 0.9], [1, 0.1])
    index = Means(np.zeros((2, 2), np.float16), np.array([9, 1]))
    silent = MicroCluster(bytes(16), "", "", (), 0.0, 0.0, (0,))
    told = title(index, f, np.arange(2), [silent, micro_cluster("card late", "Late")], Lexicon())
    assert (told.title, told.summary, told.size) == ("Late", "card late", 10)
    told = title(index, f, np.arange(2), [silent, silent], Lexicon())
    assert (told.title, told.summary, told.terms) == ("", "", ())
