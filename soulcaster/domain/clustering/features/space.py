"""The space in which similarities are taken, and the coarse search in it.

The similarity of two micro-clusters (or of an item and a micro-cluster) is f . g with

    f = [sqrt(1 - WORD_SHARE) unit(mean - background), sqrt(WORD_SHARE) unit(word mean)]

The background is the mean of all micro-clusters: sentence embeddings share a large common part, so the raw cosines of
unrelated texts run from 0.2 to 0.5, depending on the domain.

The coarse search compares random projections of f (Johnson and Lindenstrauss 1984) to `COARSE_DIMENSIONS` numbers.
"""

import math
from dataclasses import dataclass
from functools import cache

import faiss
import numpy as np

from soulcaster.domain.clustering.features.lexical import DIMENSIONS as WORD_DIMENSIONS
from soulcaster.domain.clustering.features.vectors import Flags, Halves, Slots, Vectors, lengths

WORD_SHARE = 0.35
"""The share of words in a similarity; the rest is meaning."""

COARSE_DIMENSIONS = 64

CHUNK_ROWS = 512
"""Rows that are worked on at once, few enough to stay in the processor's cache."""


@cache
def _projection(size: int) -> Vectors:
    """Return the random projection of rows of this size: the same in every process and project."""
    random = np.random.default_rng(2026)
    projection: Vectors = random.standard_normal((size, COARSE_DIMENSIONS)).astype(np.float32)
    return projection / np.float32(COARSE_DIMENSIONS**0.5)


class SimilaritySpace:
    """A background and the share of words."""

    def __init__(self, background: Vectors, word_share: float) -> None:
        """Make the space around a background, shape (dimensions,)."""
        self.background = background
        self._word_share = word_share
        self._projection = _projection(len(background) + WORD_DIMENSIONS)

    def around(self, background: Vectors) -> "SimilaritySpace":
        """Return the same space around another background."""
        return SimilaritySpace(background, self._word_share)

    def features(
        self, means: Vectors | Halves, word_means: Vectors | Halves, foreign: Flags, rows: Slots | None = None
    ) -> Vectors:
        """Return f of these rows, or of all: shape (n, dimensions + word dimensions).

        Means that are `foreign` are not the embedder's, and have no part in the background.
        """
        rows = np.arange(len(means)) if rows is None else rows
        size = means.shape[1]
        f = np.empty((len(rows), size + word_means.shape[1]), np.float32)
        for at in range(0, len(rows), CHUNK_ROWS):
            chunk, wanted = f[at : at + CHUNK_ROWS], rows[at : at + CHUNK_ROWS]
            self._centre(means, foreign, wanted, chunk[:, :size])
            chunk[:, size:] = word_means[wanted]
            for part, share in ((chunk[:, :size], 1 - self._word_share), (chunk[:, size:], self._word_share)):
                part *= math.sqrt(share) / lengths(part)
        return f

    def meanings(self, means: Vectors | Halves, foreign: Flags, rows: Slots) -> Vectors:
        """Return unit(mean - background) of these rows, shape (len(rows), dimensions)."""
        centred = np.empty((len(rows), means.shape[1]), np.float32)
        self._centre(means, foreign, rows, centred)
        centred /= lengths(centred)
        return centred

    def _centre(self, means: Vectors | Halves, foreign: Flags, rows: Slots, out: Vectors) -> None:
        np.subtract(means[rows], self.background, out=out)
        apart = foreign[rows]
        if apart.any():
            out[apart] = means[rows[apart]]

    def project(self, features: Vectors) -> Vectors:
        """Return the random projection of f, shape (n, COARSE_DIMENSIONS)."""
        projected: Vectors = features @ self._projection
        return projected


@dataclass(frozen=True, slots=True)
class CoarseSearch:
    """A space, and the FAISS index over the projections of all micro-clusters in it, by slot.

    The projection of a free slot, or of one with a template, is NaN: no comparison with NaN is true, so none of them is
    ever among the nearest.
    """

    space: SimilaritySpace
    faiss_index: faiss.IndexFlatIP
