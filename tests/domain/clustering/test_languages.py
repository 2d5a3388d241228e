"""Texts in languages that the embedder does not know: apart by language, together by what they say."""

# ruff: noqa: RUF001  Cyrillic letters look like Latin ones

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.clusterer.snapshot_codec import dump_changes, load
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.consolidation.identity import decide
from soulcaster.domain.clustering.features.characters import with_characters
from soulcaster.domain.clustering.features.languages import RARE, language_among
from soulcaster.domain.clustering.micro_clusters.foreign_search import ForeignSearch
from soulcaster.domain.clustering.micro_clusters.index import KNOWN
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.events import ClusteringStatus
from soulcaster.domain.feedback.items import ComparedItem, compared_item, with_languages
from soulcaster.domain.ids import id_bytes
from soulcaster.domain.segments import Segments
from tests.domain.clustering.graphs import seeds, steady
from tests.domain.clustering.make import chance_rows
from tests.support.make import NOW, item

ENGLISH = (
    *("The map shows the wrong street", "The street on the map is wrong", "Wrong street on the map again"),
    *("I cannot hear any sound", "There is no sound at all", "No sound since the update"),
    *("The battery is empty within an hour", "It drains my battery in an hour", "My battery is empty in no time"),
)
GERMAN = (
    *("Die Rechnung kommt nie an", "Meine Rechnung kommt einfach nie an", "Wo bleibt meine Rechnung?"),
    *("Die Schriftgröße ist viel zu klein", "Schriftgröße auf dem Tablet zu klein"),
)
RUSSIAN = (
    *("Не приходит код подтверждения", "Код подтверждения так и не приходит"),
    *("Доставка опоздала на два дня", "Опоздала доставка, ждал два дня"),
)
KOREAN = (
    *("배송이 너무 늦어요", "배송은 왜 이렇게 늦어요?"),
    *("화면이 계속 꺼져요", "화면이 자꾸 꺼져요"),
)


def compared(texts: Sequence[str], knows: frozenset[str] | None) -> list[ComparedItem]:
    items = [compared_item(item(external_id=text, title=text, body=text)) for text in texts]
    return [with_languages(one, None, knows) for one in items]


def clustered(texts: Sequence[str], knows: frozenset[str] | None = frozenset({"en"})) -> Clusterer:
    embedder = StaticEmbedder()
    clusterer = Clusterer("p", embedder.dimensions)
    for _ in clusterer.add(compared(texts, knows), embedder.embed_now(texts)):
        pass
    for _ in range(3):
        clusterer._round("auto")
    return clusterer


def groups(state: ClusterState, texts: Iterable[str]) -> set[frozenset[str]]:
    text_of = {id_bytes(item(external_id=text).id): text for text in texts}
    found: dict[int, set[str]] = defaultdict(set)
    for number, cluster in enumerate(state.clusters):
        for slot in cluster.slots:
            found[number] |= {text_of[member[0]] for member in state.index.members(slot)}
    return {frozenset(group) for group in found.values()}


def shuffled(*texts: str) -> list[str]:
    return [texts[at] for at in np.random.default_rng(3).permutation(len(texts))]


def test_no_cluster_has_two_languages() -> None:
    texts = shuffled(*ENGLISH, *GERMAN, *RUSSIAN, *KOREAN)
    found = groups(clustered(texts).state, texts)
    for languages in (ENGLISH, GERMAN, RUSSIAN, KOREAN):
        for group in found:
            assert group <= set(languages) or group.isdisjoint(languages), group


@pytest.mark.parametrize("texts", [GERMAN, RUSSIAN, KOREAN], ids=["de", "ru", "ko"])
def test_what_says_the_same_in_one_language_comes_together(texts: tuple[str, ...]) -> None:
    found = groups(clustered(shuffled(*texts, *ENGLISH)).state, (*texts, *ENGLISH))
    foreign = {group for group in found if group <= set(texts)}
    assert any(set(texts[:2]) <= group for group in foreign)
    assert any(set(texts[-2:]) <= group for group in foreign)
    assert not any({texts[0], texts[-1]} <= group for group in foreign)


def test_other_languages_do_not_change_how_english_is_clustered() -> None:
    alone = clustered(ENGLISH)
    mixed = clustered((*ENGLISH, *RUSSIAN, *KOREAN))
    english = {group for group in groups(mixed.state, (*ENGLISH, *RUSSIAN, *KOREAN)) if group <= set(ENGLISH)}
    assert english == groups(alone.state, ENGLISH)
    assert mixed.state.index.background == pytest.approx(alone.state.index.background)


def test_an_embedder_that_knows_all_languages_decides_alone() -> None:
    state = clustered((*GERMAN, *RUSSIAN), knows=None).state
    assert not state.index.languages.any()


def test_an_equal_text_keeps_its_language() -> None:
    clusterer = clustered(RUSSIAN)
    again = compared([f" {RUSSIAN[0]} "], None)
    [placed] = [one for step in clusterer.add(again, chance_rows(1, 256)) if isinstance(step, list) for one in step]
    assert placed.rule == "same-text"
    assert clusterer.state.index.micro_clusters[placed.slot].language == "ru"


def test_languages_survive_a_restart() -> None:
    texts = (*ENGLISH, *RUSSIAN, *GERMAN)
    state = clustered(texts).state
    blobs, titles = dump_changes(state)
    members = {slot: state.index.micro_clusters[slot].packed_members for slot in state.index.slots().tolist()}
    loaded = ClusterState("p", 256)
    load(loaded, blobs | titles, members)
    n = len(state.index.micro_clusters)
    assert loaded.index.languages[:n].tolist() == state.index.languages[:n].tolist()
    for language in np.unique(state.index.languages[:n]).tolist():
        rows = state.index.features_at(np.flatnonzero(state.index.languages[:n] == language))
        similarity, slots = state.index.nearest(rows, language)
        similarity_loaded, slots_loaded = loaded.index.nearest(rows, language)
        assert slots_loaded.tolist() == slots.tolist()
        assert similarity_loaded == pytest.approx(similarity)
        assert set(loaded.index.languages[slots_loaded].ravel().tolist()) == {language}


def test_a_round_merges_no_two_languages() -> None:
    clusterer = clustered((*ENGLISH, *RUSSIAN, *GERMAN))
    decision = decide(clusterer.rounds.snapshot("broader", unbounded=True))
    languages = clusterer.state.index.languages
    of_cluster = {
        number: {int(languages[slot]) for slot in c.slots} for number, c in enumerate(clusterer.state.clusters)
    }
    for gone, into in decision.merged.items():
        assert of_cluster[gone] == of_cluster[into]


def test_the_status_counts_items_by_foreign_language() -> None:
    project = ProjectClusters("p1", Segments(RECORD_BYTES))
    texts = (*ENGLISH, *RUSSIAN, *KOREAN[:1])
    key = EmbedderKey("static", "1", 256)
    project.add(key, compared(texts, frozenset({"en"})), StaticEmbedder().embed_now(texts))
    [status] = project.running(NOW).events
    assert isinstance(status, ClusteringStatus)
    assert status.foreign == (("ru", 4), ("ko", 1))


# ---- the language of a text ------------------------------------------------------------------------------------------


def test_a_doubtful_text_is_in_the_language_that_the_project_has() -> None:
    doubtful = (("nl", 0.6),)
    assert language_among(doubtful, {}, 1000) == ""
    assert language_among(doubtful, {"nl": 500}, 500) == "nl"
    assert language_among((("da", 0.5), ("no", 0.45)), {"no": 300}, 0) == "no"


def test_a_text_without_doubt_is_found_in_any_project() -> None:
    assert language_among((("nl", 0.995),), {"de": 10}, 10**6) == "nl"
    assert language_among((("ko", 1.0),), {}, 10**6) == "ko"


@steady
@given(
    st.dictionaries(st.sampled_from(["de", "nl", "ru"]), st.integers(0, 10**6)),
    st.integers(0, 10**6),
    st.floats(0, RARE / 2),
)
def test_what_is_hardly_foreign_stays_unless_hardly_anything_else_is_known(
    items: dict[str, int], known: int, probability: float
) -> None:
    assert language_among((), items, known) == ""
    if known >= sum(items.values()):
        assert language_among((("de", probability),), items, known) == ""


# ---- vectors and search ----------------------------------------------------------------------------------------------


def test_vectors_of_characters_are_of_unit_length_and_others_stay() -> None:
    vectors = chance_rows(4, 32)
    found = with_characters(("Die Rechnung", "the", "", "Die Rechnung"), ("de", "", "de", "de"), vectors)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 0, 1])
    assert found[1].tolist() == vectors[1].tolist()
    assert found[0].tolist() == found[3].tolist()


@steady
@given(seeds, st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40), st.integers(1, 5))
def test_a_search_has_what_was_put_and_not_removed(seed: int, changes: list[tuple[int, bool]], k: int) -> None:
    search, there = ForeignSearch(), {}
    projections = chance_rows(40, 64, seed)
    for at, (slot, puts) in enumerate(changes):
        if puts:
            search.put(7, slot, projections[at])
            there[slot] = projections[at]
        elif slot in there:
            search.remove(7, slot)
            del there[slot]
    asked = chance_rows(1, 64, seed + 1)
    found = search.nearest(7, asked, k)[0].tolist()
    best = sorted(there, key=lambda slot: -float(there[slot] @ asked[0]))[:k]
    assert sorted(found) == sorted(best)
    assert search.count(7) == len(there)
    assert search.nearest(KNOWN, asked, k).size == 0
