"""What is near a cluster or an item, by meaning and by words."""

import math
from collections import Counter
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.features.lexical import Lexicon, stem
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.clustering.features.word_sets import MOST_WORDS, word_similarities
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.commands import Merge, Split
from soulcaster.domain.feedback.items import ComparedItem, Deleted
from soulcaster.domain.near import NEAREST, NOTHING_NEAR, NearAnswer
from soulcaster.domain.segments import Segments
from soulcaster.domain.text.contentless import contentless
from soulcaster.domain.text.words import words
from tests.domain.clustering.make import A, chance_rows, load, rows, write
from tests.support.make import compared_item, uid

AT = datetime(2026, 11, 3, tzinfo=UTC)
SAID = ("lamp", "broken", "wheel", "flat", "tyre", "stolen", "saddle", "rusty", "chain", "bell")
MANY = [f"{one} {other}" for one in SAID for other in SAID if one < other]


def items(*texts: str) -> list[ComparedItem]:
    return [compared_item(text, text=text) for text in texts]


def project(texts: list[str], vectors: Vectors, table: dict[str, bytes] | None = None) -> ProjectClusters:
    """A project with these items, in one batch and in rows of `table`."""
    table = {} if table is None else table
    clusters = load(table)
    write(table, clusters.add(A, items(*texts), vectors).rows)
    return clusters


def near_item(clusters: ProjectClusters, item_id: str) -> NearAnswer:
    question = clusters.near_item(item_id)
    return NOTHING_NEAR if question is None else question.answer()


def near_cluster(clusters: ProjectClusters, item_id: str) -> NearAnswer:
    """What is near the cluster of an item."""
    [cluster_id] = clusters.cluster_of([item_id])
    question = None if cluster_id is None else clusters.near_cluster(cluster_id)
    return NOTHING_NEAR if question is None else question.answer()


def clusters_of(clusters: ProjectClusters, *texts: str) -> list[str]:
    return [str(cluster_id) for cluster_id in clusters.cluster_of([uid(text) for text in texts])]


def named(answer: NearAnswer) -> list[str]:
    return [near.item_id for near in answer.near]


# ---- words -----------------------------------------------------------------------------------------------------------


def by_hand(texts: list[str], own: list[int]) -> list[float]:
    """The same as `word_similarities`, word by word."""
    said = [Counter(map(stem, words(text))) for text in texts]
    df = Counter(word for counts in said for word in counts)
    unit = []
    for counts in said:
        weight = {w: (1 + math.log(n)) * math.log((len(texts) + 1) / (df[w] + 0.5)) for w, n in counts.items()}
        length = math.sqrt(sum(w * w for w in weight.values())) or 1.0
        unit.append({word: w / length for word, w in weight.items()})
    asked = {word: sum(unit[row].get(word, 0.0) for row in own) for word in df}
    length = math.sqrt(sum(w * w for w in asked.values())) or 1.0
    return [sum(w * asked[word] for word, w in of.items()) / length for of in unit]


TEXTS = st.lists(st.sampled_from(SAID), max_size=6).map(" ".join).filter(lambda text: contentless(text) is None)
"""Of a text that says nothing, such as "broken broken", no words are kept."""


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.data())
def test_words_are_compared_as_by_hand(texts: list[str], data: st.DataObject) -> None:
    own = data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, unique=True))
    found = word_similarities(Lexicon().add(texts).words, np.array(own))
    assert found.tolist() == pytest.approx(by_hand(texts, own), abs=1e-5)


def test_a_word_of_the_title_counts_twice() -> None:
    packed = Lexicon().add(["lamp\nbroken wheel", "lamp broken wheel", "lamp stolen"]).words
    by_title, by_text, _ = word_similarities(packed, np.array([2])).tolist()
    assert by_title > by_text


def test_of_many_words_those_that_say_most_are_kept() -> None:
    lexicon = Lexicon()
    usual = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}usual" for n in range(80)]
    lexicon.add([" ".join(usual)] * 20)
    long, short = lexicon.add([" ".join([*usual, "unicorn", "gryphon"]), "unicorn gryphon"]).words
    assert len(long) == 4 * MOST_WORDS
    assert word_similarities([long, short, b""], np.array([1]))[0] > 0


def test_words_are_the_same_whether_texts_are_counted_or_not() -> None:
    one, other = Lexicon(), Lexicon()
    assert one.add(["lamp broken", "wheel"]).words == other.words(["lamp broken", "wheel"])
    assert other.seen == 0
    assert other.words([]) == []


# ---- projects --------------------------------------------------------------------------------------------------------


def test_what_comes_first_by_meaning_or_by_words_comes_first() -> None:
    texts = [
        "lamp broken",
        "light defect",
        "lamp broken since monday",
        *(w for w in MANY if "lamp" not in w and "broken" not in w),
    ]
    vectors = chance_rows(len(texts))
    vectors[1] = 0.7 * vectors[0] + 0.7 * vectors[1]
    vectors[2] = -vectors[0]
    answer = near_item(project(texts, vectors), uid(texts[0]))
    assert set(named(answer)[:2]) == {uid(texts[1]), uid(texts[2])}
    scores = {near.item_id: (near.meaning, near.words) for near in answer.near}
    assert scores[uid(texts[1])][0] > 0.5
    assert scores[uid(texts[1])][1] == 0
    assert scores[uid(texts[2])][1] > 0.5
    assert len(answer.near) == NEAREST


def test_items_that_are_kept_as_one_are_told_apart_from_those_that_are_near() -> None:
    clusters = load({})
    first, again = compared_item("1", text="lamp broken"), compared_item("2", text="LAMP broken")
    near = compared_item("3", text="lamp stolen")
    clusters.add(A, [first, again, near], rows([1, *[0] * 15], [1, *[0] * 15], [0.5, 0.8, *[0] * 14]))
    answer = near_item(clusters, first.id)
    assert answer.same == (again.id,)
    assert named(answer) == [near.id]


def test_a_cluster_is_named_once_and_never_its_own() -> None:
    texts = ["lamp broken", "lamp stolen", "lamp rusty", "lamp flat"]
    clusters = project(texts, chance_rows(4))
    ids = clusters_of(clusters, *texts)
    assert len(set(ids)) == 4
    clusters.apply(Merge("m1", "owner", AT, ids[1], (ids[2],)), AT)
    assert sorted(near.cluster_id for near in near_cluster(clusters, uid(texts[0])).near) == sorted([ids[1], ids[3]])
    merged = near_cluster(clusters, uid(texts[2]))
    assert sorted(near.cluster_id for near in merged.near) == sorted([ids[0], ids[3]])


def test_what_a_person_has_separated_is_not_near() -> None:
    texts = ["lamp broken", "lamp broken today", "lamp stolen"]
    clusters = project(texts, chance_rows(3))
    ids = clusters_of(clusters, *texts)
    clusters.apply(Merge("m1", "owner", AT, ids[0], (ids[1],)), AT)
    assert uid(texts[1]) in named(near_item(clusters, uid(texts[0])))
    clusters.apply(Split("s1", "owner", AT, ids[0], (uid(texts[1]),)), AT)
    assert named(near_item(clusters, uid(texts[0]))) == [uid(texts[2])]
    assert named(near_cluster(clusters, uid(texts[1]))) == [uid(texts[2])]


def test_what_is_deleted_is_not_near() -> None:
    texts = ["lamp broken", "lamp broken today", "lamp flat"]
    clusters = project(texts, chance_rows(3))
    assert uid(texts[1]) in named(near_item(clusters, uid(texts[0])))
    clusters.remove([Deleted(uid(texts[1]), AT)], AT)
    assert named(near_item(clusters, uid(texts[0]))) == [uid(texts[2])]
    assert clusters.near_item(uid(texts[1])) is None


def test_the_words_of_a_deleted_item_are_forgotten_and_those_of_the_next_one_come() -> None:
    clusters = load({})
    first, second, third = (compared_item(str(n), text=f"lamp broken {n}") for n in (1, 2, 3))
    for one in (first, second):
        clusters.add(A, [one], rows([1, *[0] * 15]))
    [clusterer] = clusters.clusterers.values()
    assert clusterer.state.index.micro_clusters[0].words
    clusters.remove([Deleted(first.id, AT)], AT)
    assert not clusterer.state.index.micro_clusters[0].words
    clusters.add(A, [third], rows([1, *[0] * 15]))
    assert clusterer.state.index.micro_clusters[0].words == clusterer.state.lexicon.words([third.text])[0]
    assert len(clusterer.state.index) == 1


def test_unknown_ones_have_nothing_near() -> None:
    clusters = project(["lamp broken"], chance_rows(1))
    assert clusters.near_item(uid("never came")) is None
    assert clusters.near_cluster(uid("no cluster")) is None
    assert near_item(clusters, uid("lamp broken")) == NOTHING_NEAR


def test_texts_of_another_language_are_not_near() -> None:
    clusters = load({})
    korean, other = (
        ComparedItem(uid(text), "manual", text, text, AT, (("ko", 1.0),))
        for text in ("전등 lamp broken", "전등 saddle")
    )
    clusters.add(A, [korean, compared_item("en", text="lamp broken"), other], chance_rows(3))
    assert named(near_item(clusters, korean.id)) == [other.id]


def test_a_machines_text_is_near_by_the_constant_words_of_its_template() -> None:
    clusters = load({})
    lines = [f"conn_pool[main] slot={n} worker_{n} lease given" for n in range(2)]
    found = items(*lines, "conn_pool[main] slot=7 worker_7 lease taken back")
    clusters.add(A, found, chance_rows(3))
    [clusterer] = clusters.clusterers.values()
    assert sum(bool(mc.template) for mc in clusterer.state.index.micro_clusters) == 2
    answer = near_item(clusters, found[0].id)
    assert answer.same == (found[1].id,)
    assert named(answer) == [found[2].id]
    assert answer.near[0].words > 0


# ---- rows ------------------------------------------------------------------------------------------------------------


def without_words(table: dict[str, bytes]) -> dict[str, bytes]:
    """The rows as a version without words would have written them."""
    segments = Segments(RECORD_BYTES, table)
    blobs = {}
    for key, blob in segments.blobs().items():
        kind, _, name = key.partition(b"\0")
        micro_cluster = kind.startswith(b"core") and name[:1] == b"g"
        blobs[key] = msgspec.msgpack.encode(msgspec.msgpack.decode(blob)[:-1]) if micro_cluster else blob
    older: dict[str, bytes] = {}
    write(older, Segments(RECORD_BYTES).commit(segments.records(), blobs))
    return older


def test_answers_are_the_same_after_a_restart() -> None:
    table: dict[str, bytes] = {}
    before = project(MANY, chance_rows(len(MANY)), table)
    after = load(table)
    for text in MANY[::7]:
        assert near_item(after, uid(text)) == near_item(before, uid(text)) != NOTHING_NEAR
        assert near_cluster(after, uid(text)) == near_cluster(before, uid(text))


def test_rows_from_before_words_were_kept_get_those_of_the_text_that_is_kept() -> None:
    table: dict[str, bytes] = {}
    texts = ["lamp broken", "lamp broken today", "wheel flat"]
    before = project(texts, chance_rows(3), table)
    after = load(without_words(table))
    assert near_item(after, uid(texts[0])) == near_item(before, uid(texts[0]))
    assert named(near_item(after, uid(texts[0])))[0] == uid(texts[1])
