"""Emoji, punctuation and ratings: each alone, or with its equal, and without a say in what is alike."""

from collections import defaultdict

import numpy as np

from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.feedback.items import compared_item
from soulcaster.domain.ids import id_bytes
from tests.support.make import item

SILENT = (
    "👏",
    "👏👏",
    "🙅",
    "🙅🏽",
    "🎉",
    "🥶🥶",
    "🤷",
    "-",
    "…",
    "??",
    "9/10",
    "2/10",
    "5/5",
    "★★★★★",
    "★",
    ":-)",
    ":-(",
    "💔",
)
WORDED = (
    *("The map shows the wrong street", "The street on the map is wrong"),
    *("I cannot hear any sound", "There is no sound at all"),
    *("Please translate it into Greek", "A Greek translation, please"),
    *("The battery is empty within an hour", "It drains my battery in an hour"),
)


def clusters(*texts: str) -> set[frozenset[str]]:
    embedder = StaticEmbedder()
    items = [compared_item(item(external_id=text, title=text, body=text)) for text in texts]
    text_of = {id_bytes(one.id): text for one, text in zip(items, texts, strict=True)}
    clusterer = Clusterer("p", embedder.dimensions)
    for _ in clusterer.add(items, embedder.embed_now([one.text for one in items])):
        pass
    for _ in range(3):
        clusterer._round("auto")
    found: dict[int, set[str]] = defaultdict(set)
    for number, cluster in enumerate(clusterer.state.clusters):
        for slot in cluster.slots:
            found[number] |= {text_of[member[0]] for member in clusterer.state.index.members(slot)}
    return {frozenset(group) for group in found.values()}


def test_a_text_without_words_is_alone_or_with_its_equal() -> None:
    found = clusters(*SILENT)
    assert found == {
        frozenset({"👏", "👏👏"}),
        frozenset({"🙅", "🙅🏽"}),
        *(frozenset({text}) for text in SILENT if text not in ("👏", "👏👏", "🙅", "🙅🏽")),
    }


def test_texts_without_words_change_nothing_for_others() -> None:
    mixed = [text for pair in zip(SILENT, WORDED, strict=False) for text in pair] + list(SILENT[len(WORDED) :])
    found = clusters(*mixed)
    assert {group for group in found if not group & set(SILENT)} == clusters(*WORDED)
    assert not any(group & set(SILENT) and group & set(WORDED) for group in found)


def test_an_explicit_threshold_keeps_them_apart_too() -> None:
    embedder = StaticEmbedder()
    items = [compared_item(item(external_id=text, title=text, body=text)) for text in SILENT]
    clusterer = Clusterer("p", embedder.dimensions, threshold=0.5)
    for _ in clusterer.add(items, embedder.embed_now([one.text for one in items])):
        pass
    assert len(clusterer.state.clusters) == len({one.text for one in items})
    assert np.isfinite(clusterer.state.index.means).all()
