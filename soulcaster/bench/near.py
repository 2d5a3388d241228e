"""`soulcaster bench near`: whether known duplicates are among the nearest texts, by meaning, by words and by both.

Each text is compared with all others as the clusterer compares micro-clusters (features/space.py), around the mean of
all. "Fused" ranks by the sum of 1 / (60 + rank) over meaning and words (reciprocal rank fusion, Cormack et al. 2009).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soulcaster.bench.clustering import Options, load
from soulcaster.bench.datasets import LabelledFile
from soulcaster.bench.progress import Report
from soulcaster.bench.scores import codes
from soulcaster.domain.clustering.features.lexical import Lexicon
from soulcaster.domain.clustering.features.space import WORD_SHARE, SimilaritySpace
from soulcaster.domain.clustering.features.vectors import Slots, Vectors
from soulcaster.errors import BadInput

NEAREST = 10
MAX_ROWS = 20_000
"""All pairs are compared."""

_RANK_OFFSET = 60
_CHUNK_ROWS = 256


@dataclass(frozen=True, slots=True)
class NearFigures:
    """Of the `asked` items whose label others have, the share that has one of these among the ten nearest, 0 to 1."""

    items: int
    asked: int
    meaning: float
    words: float
    similarity: float
    fused: float


def measure(file: LabelledFile, embedder: str | None, embeddings: Path | None, report: Report) -> NearFigures:
    """Return the figures of a set.

    Raises:
        BadInput: the file or an option cannot be used, no label is that of two items, or there are too many.
    """
    data, vectors = load(Options((file,), embedder, (embeddings,) if embeddings else ()), report)
    if len(data.items) > MAX_ROWS:
        raise BadInput(f"{len(data.items):,} items are too many to compare all pairs; the most are {MAX_ROWS:,}.")
    found = figures([item.text for item in data.items], vectors, codes(data.labels), report)
    if not found.asked:
        raise BadInput("No two items have the same label.")
    return found


def figures(texts: list[str], vectors: Vectors, labels: Slots, report: Report) -> NearFigures:
    """Return the figures of texts, their unit vectors, shape (len(texts), dimensions), and their labels."""
    space = SimilaritySpace(vectors.mean(0), WORD_SHARE)
    features = space.features(vectors, Lexicon().add(texts), np.zeros(len(texts), np.bool_))
    size = vectors.shape[1]
    asked = np.flatnonzero(np.bincount(labels)[labels] > 1)
    hits = np.zeros(4)
    for at in range(0, len(asked), _CHUNK_ROWS):
        rows = asked[at : at + _CHUNK_ROWS]
        meaning = _without_itself(features[rows, :size] @ features[:, :size].T, rows)
        words = _without_itself(features[rows, size:] @ features[:, size:].T, rows)
        fused = (1 / (_RANK_OFFSET + _ranks(meaning)) + 1 / (_RANK_OFFSET + _ranks(words))).astype(np.float32)
        for way, scores in enumerate((meaning, words, meaning + words, _without_itself(fused, rows))):
            near = np.argsort(-scores, axis=1, kind="stable")[:, : min(NEAREST, len(texts) - 1)]
            hits[way] += (labels[near] == labels[rows, None]).any(1).sum()
        report("comparing", at + len(rows), len(asked))
    shares = (hits / max(1, len(asked))).tolist()
    return NearFigures(len(texts), len(asked), *shares)


def _without_itself(scores: Vectors, rows: Slots) -> Vectors:
    scores[np.arange(len(rows)), rows] = -np.inf
    return scores


def _ranks(scores: Vectors) -> Slots:
    """Return the rank of each column in its row, 0 for the highest score."""
    ranks: Slots = np.empty(scores.shape, np.int64)
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None, :], 1)
    return ranks
