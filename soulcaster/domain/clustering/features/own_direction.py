"""Vectors of texts without words.

An embedder gives all of them nearly the same vector, so a thumb up would be a thumb down. Here each gets a direction by
chance, the same for the same text: it is far from every other, and nothing but an equal text joins it.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.text.wordless import wordless


def with_own_directions(texts: Sequence[str], vectors: Vectors) -> Vectors:
    """Return the vectors, with those of texts without words replaced."""
    rows = [row for row, text in enumerate(texts) if wordless(text) is not None]
    if not rows:
        return vectors
    vectors = vectors.copy()
    for row in rows:
        seed = int.from_bytes(hashlib.blake2b(texts[row].encode(), digest_size=8).digest())
        chance = np.random.default_rng(seed).standard_normal((1, vectors.shape[1]))
        vectors[row] = unit(chance.astype(np.float32))[0]
    return vectors
