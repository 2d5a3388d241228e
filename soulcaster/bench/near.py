"""`soulcaster bench near`: whether known duplicates are among the ten nearest, by meaning, by words and by both.

The items go through a project's clusters, and each that has duplicates is asked about as by `GET /feedback/{id}/near`:
what is near by both is that route's own answer (`domain/clustering/project/near.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soulcaster.bench.clustering import Options, load
from soulcaster.bench.datasets import FIRST_ITEM_AT, PROJECT, LabelledFile
from soulcaster.bench.progress import Report
from soulcaster.bench.scores import codes
from soulcaster.domain.clustering.features.vectors import Slots, Vectors
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.clustering.project.near import NearQuestion
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.near import NEAREST
from soulcaster.domain.segments import Segments
from soulcaster.errors import BadInput

MAX_ROWS = 20_000
"""All pairs are compared."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class NearFigures:
    """Of the `asked` items whose label others have, the share that has one of these among the ten nearest, 0 to 1."""

    items: int
    asked: int
    meaning: float
    words: float
    both: float


def measure(file: LabelledFile, embedder: str | None, embeddings: Path | None, report: Report) -> NearFigures:
    """Return the figures of a set.

    Raises:
        BadInput: the file or an option cannot be used, no label is that of two items, or there are too many.
    """
    data, vectors = load(Options((file,), embedder, (embeddings,) if embeddings else ()), report)
    if len(data.items) > MAX_ROWS:
        raise BadInput(f"{len(data.items):,} items are too many to compare all pairs; the most are {MAX_ROWS:,}.")
    found = figures(data.items, vectors, codes(data.labels), report)
    if not found.asked:
        raise BadInput("No two items have the same label.")
    return found


def figures(items: Sequence[ComparedItem], vectors: Vectors, labels: Slots, report: Report) -> NearFigures:
    """Return the figures of items, their unit vectors, shape (len(items), dimensions), and their labels."""
    project = _clustered(items, vectors)
    label_of = {item.id: label for item, label in zip(items, labels.tolist(), strict=True)}
    asked = np.flatnonzero(np.bincount(labels)[labels] > 1).tolist()
    hits = np.zeros(3)
    for done, row in enumerate(asked):
        question = project.near_item(items[row].id)
        if question is None:
            raise LookupError(f"item {items[row].id} has no micro-cluster")
        answer = question.answer()
        both = [*answer.same, *(near.item_id for near in answer.near)]
        for way, ids in enumerate((*_by_each(question, answer.same), both)):
            hits[way] += labels[row] in {label_of[item_id] for item_id in ids[:NEAREST]}
        report("comparing", done + 1, len(asked))
    return NearFigures(len(items), len(asked), *(hits / max(1, len(asked))).tolist())


def _clustered(items: Sequence[ComparedItem], vectors: Vectors) -> ProjectClusters:
    """Return the clusters of all items, after the rounds that come due."""
    project = ProjectClusters(PROJECT, Segments(RECORD_BYTES))
    key = EmbedderKey("bench", "1", vectors.shape[1])
    for at in range(0, len(items), _BATCH):
        project.add(key, items[at : at + _BATCH], vectors[at : at + _BATCH])
        while due := project.round_due():
            project.finish(due, due.decide(), FIRST_ITEM_AT, 0.0)
    return project


def _by_each(question: NearQuestion, same: Sequence[str]) -> list[list[str]]:
    """Return what is nearest by meaning alone, and by words alone."""
    search = question.search
    wanted = np.flatnonzero(search.wanted)
    nearest = (wanted[np.argsort(-scores[wanted], kind="stable")[:NEAREST]] for scores in search.scores())
    return [[*same, *map(question.item_at, search.slots[found].tolist())] for found in nearest]
