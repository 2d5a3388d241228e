"""What to call a cluster: its most central item, and the words that distinguish it from the others.

Words are weighed by class-based TF-IDF (Grootendorst 2022): how many of a cluster's micro-clusters have them, times how
rare they are among all texts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from soulcaster.domain.clustering.features.lexical import Lexicon, stem
from soulcaster.domain.clustering.features.vectors import Slots, Vectors
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster
from soulcaster.domain.text.language import language_of
from soulcaster.domain.text.masking import without_masks
from soulcaster.domain.text.normalize import CUT
from soulcaster.domain.text.stop_words import stop_words
from soulcaster.domain.text.words import words

TERMS = 5
_SHORTEST_TERM = 3
_SHORTEST_DENSE_TERM = 2
_SHORTEST_STEM = 4
"""From this length on, what begins with a word is mostly a form of it: "cards" of "card", but not "card" of "car"."""

_DENSE = "\u0e00"
"""From here on a character says more than a letter does: Thai, and further on Korean, Chinese and Japanese."""

_LANGUAGES_OF = 3
"""The texts whose languages are detected: a cluster seldom has more languages."""

_EVERYWHERE = "en"
"""English words are in texts of every language, in error messages for instance."""

_EXAMINED = 12
"""The most central micro-clusters, whose texts are read."""


class Means(Protocol):
    """The means of micro-clusters: the index, or a snapshot of it."""

    @property
    def means(self) -> npt.NDArray[np.float16]:
        """Return the mean vectors, shape (n, dimensions)."""

    @property
    def counts(self) -> Slots:
        """Return the number of items of each, shape (n,)."""


@dataclass(frozen=True, slots=True)
class Title:
    """A cluster's most central item's title and text, its terms, and the coherence of its items.

    Micro-clusters whose text was deleted are skipped; if all were, title and text are empty.
    """

    title: str
    summary: str
    terms: tuple[str, ...]
    coherence: float | None
    size: int


NONE = Title("", "", (), None, 0)
"""The title of a cluster that has no text left."""


def title(
    index: Means, features: Vectors, slots: Slots, micro_clusters: Sequence[MicroCluster], lexicon: Lexicon
) -> Title:
    """Return the title of the cluster of these micro-clusters; `features` are their f. One item is its own title."""
    counts = index.counts[slots]
    if counts.sum() == 1:
        alone = micro_clusters[int(slots[0])]
        return Title(alone.title, alone.summary, (), None, 1)
    nearness = features @ (features * counts[:, None]).sum(0)
    order = np.argsort(-nearness, kind="stable")
    central = (micro_clusters[int(slot)] for slot in slots[order])
    near = list(islice((micro_cluster for micro_cluster in central if micro_cluster.has_text), _EXAMINED))
    name, summary = (near[0].title, near[0].summary) if near else ("", "")
    return Title(name, summary, terms(near, lexicon), coherence(index, slots), int(counts.sum()))


def coherence(index: Means, slots: Slots) -> float | None:
    """Return the mean cosine between a cluster's items, or None for a single item.

    For n unit vectors it is (|sum|^2 - n) / (n (n - 1)).
    """
    counts = index.counts[slots]
    n = int(counts.sum())
    if n < 2:
        return None
    total = (index.means[slots].astype(np.float32) * counts[:, None]).sum(0, dtype=np.float64)
    return float(np.clip((total @ total - n) / (n * (n - 1)), -1, 1))


def terms(micro_clusters: Sequence[MicroCluster], lexicon: Lexicon) -> tuple[str, ...]:
    """Return the words that distinguish these texts, best first; of words with one stem, the most frequent.

    Stop words of the texts' languages are left out, and what stands for masked data.
    """
    counted = describing_words([_said(mc) for mc in micro_clusters])
    of_words = list(map(stem, counted))
    of_stem: dict[str, int] = {}
    for s, times in zip(of_words, counted.values(), strict=True):
        of_stem[s] = of_stem.get(s, 0) + times
    stems = sorted(of_stem)
    weight = np.sqrt([of_stem[s] for s in stems]) * lexicon.rarity(stems)
    best = first_different(stems[at] for at in np.argsort(-weight, kind="stable").tolist())
    forms: dict[str, list[tuple[int, str]]] = {s: [] for s in best}
    for s, (word, times) in zip(of_words, counted.items(), strict=True):
        if s in forms:
            forms[s].append((-times, word))
    return tuple(min(forms[s])[1] for s in best)


def first_different(stems: Iterable[str]) -> list[str]:
    """Return the first `TERMS` stems without those of another form of a word: of "card" and "cards", the first."""
    found: list[str] = []
    for candidate in stems:
        if not any(_same_word(candidate, other) for other in found):
            found.append(candidate)
        if len(found) == TERMS:
            break
    return found


def _same_word(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _SHORTEST_STEM and long.startswith(short)


def describing_words(texts: Sequence[str]) -> dict[str, int]:
    """Return the words that may describe these texts, and how many of them have each."""
    occurrences: Counter[str] = Counter()
    for text in texts:
        occurrences.update(_words_of(text))
    languages = {_EVERYWHERE, *filter(None, map(language_of, texts[:_LANGUAGES_OF]))}
    unsaid = frozenset[str]().union(*map(stop_words, languages))
    return {w: times for w, times in occurrences.items() if w not in unsaid}


@lru_cache(2048)
def _words_of(text: str) -> frozenset[str]:
    """Return the different words of a text without the shortest; round after round reads the same texts."""
    return frozenset(filter(_may_describe, words(without_masks(text))))


def _said(mc: MicroCluster) -> str:
    repeats_title = mc.summary.startswith(mc.title.removesuffix(CUT))
    return mc.summary if repeats_title else f"{mc.title} {mc.summary}"


def _may_describe(word: str) -> bool:
    return len(word) >= (_SHORTEST_TERM if word[0] < _DENSE else _SHORTEST_DENSE_TERM) and not word.isdigit()
