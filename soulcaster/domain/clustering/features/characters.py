"""Vectors of texts in languages that the embedder does not know: their runs of characters.

An embedder says nothing about such a text, or groups texts by their language. Runs of two and three characters are what
texts of one subject share in every language and script: they outlast endings, prefixes and compounds, and need no
dictionary. Each run is hashed with a sign to a dimension (the hashing trick, Weinberger et al. 2009), by the square
root of its number. Stop words are left out, where there is a list of them; blanks are not, so a run at the start of a
word is another one than inside.
"""

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.text.stop_words import stop_words
from soulcaster.domain.text.words import words

_RUNS = (2, 3)


def with_characters(texts: Sequence[str], languages: Sequence[str], vectors: Vectors) -> Vectors:
    """Return the vectors, with those of texts in a foreign language replaced; no language ("") is one that is known."""
    rows = [row for row, language in enumerate(languages) if language]
    if not rows:
        return vectors
    vectors = vectors.copy()
    vectors[rows] = unit(_counted([(texts[row], languages[row]) for row in rows], vectors.shape[1]))
    return vectors


def _counted(texts: Sequence[tuple[str, str]], dimensions: int) -> Vectors:
    counted = np.zeros((len(texts), dimensions), np.float32)
    for row, (text, language) in zip(counted, texts, strict=True):
        for run, times in _runs(text, language).items():
            code = zlib.crc32(run.encode())
            row[(code >> 1) % dimensions] += (1.0 if code & 1 else -1.0) * times**0.5
    return counted


def _runs(text: str, language: str) -> Counter[str]:
    found = words(text)
    unsaid = stop_words(language)
    runs: Counter[str] = Counter()
    for word in [word for word in found if word not in unsaid] or found:
        padded = f" {word} "
        for length in _RUNS:
            runs.update(padded[at : at + length] for at in range(len(padded) - length + 1))
    return runs
