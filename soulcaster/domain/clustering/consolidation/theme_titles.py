"""What to call themes: the words that many of a theme's texts share and few texts of other themes have. Pure.

Words are weighed by class-based TF-IDF (Grootendorst 2022), with themes as the classes: how many of a theme's texts
have a word, times ln(1 + A / f), where A is the mean of those numbers over themes and f their sum for the word.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soulcaster.domain.clustering.consolidation.titles import describing_words, first_different
from soulcaster.domain.clustering.features.lexical import stem

LEAST_TEXTS = 2
"""A word that fewer texts have is not shared."""


@dataclass(frozen=True, slots=True)
class ThemeWords:
    """The words of a theme's texts: how often texts have words of each stem, and the most frequent word of each."""

    counts: Mapping[str, int]
    forms: Mapping[str, str]


def theme_words(texts: Sequence[str]) -> ThemeWords:
    """Return the words of the texts of one theme, without those that describe nothing."""
    counts: Counter[str] = Counter()
    forms: dict[str, str] = {}
    for word, times in sorted(describing_words(texts).items(), key=lambda entry: (-entry[1], entry[0])):
        counts[stem(word)] += times
        forms.setdefault(stem(word), word)
    return ThemeWords(counts, forms)


class ThemeVocabulary:
    """The words of all themes, against which the words of one are weighed."""

    def __init__(self, themes: Sequence[ThemeWords]) -> None:
        """Add up the words of all themes."""
        self._everywhere: Counter[str] = Counter()
        for theme in themes:
            self._everywhere.update(theme.counts)
        self._mean = self._everywhere.total() / max(1, len(themes))

    def terms(self, theme: ThemeWords) -> tuple[str, ...]:
        """Return the words that one of the themes shares, best first; none where its texts have no word in common."""
        weight = {
            of_stem: times * math.log(1 + self._mean / self._everywhere[of_stem])
            for of_stem, times in theme.counts.items()
            if times >= LEAST_TEXTS
        }
        best = first_different(sorted(weight, key=lambda s: (-weight[s], s)))
        return tuple(theme.forms[of_stem] for of_stem in best)
