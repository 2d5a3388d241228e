"""Labelled texts to cluster: read from files as production reads them, then shaped and ordered.

Everything random is drawn from the seed alone, so the same options give the same stream.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from soulcaster.adapters.embedders.multilingual import MultilingualModel
from soulcaster.adapters.embedders.process import Model
from soulcaster.adapters.embedders.small import SmallModel
from soulcaster.adapters.embedders.static import MODEL_FILES, StaticEmbedder
from soulcaster.adapters.table_files.files import open_table
from soulcaster.bench import Order, Shape
from soulcaster.bench.scores import Codes, codes
from soulcaster.dev.demo_data import FILE, LABEL_COLUMN, TEXT_COLUMN
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.feedback.boilerplate import Boilerplate
from soulcaster.domain.feedback.items import ComparedItem, compared_item, with_languages
from soulcaster.domain.text.language import language_of
from soulcaster.errors import BadInput
from soulcaster.services.file_import import ready_row
from soulcaster.services.import_columns import Columns

PROJECT = "bench"
STATIC = "static"
EMBEDDERS: Mapping[str, Callable[[], Model]] = {
    STATIC: StaticEmbedder,
    "small": SmallModel,
    "multilingual": MultilingualModel,
}
"""Those in the package."""

FIRST_ITEM_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first item of a stream was written; each following item is a second later."""

FEW_PER_CLASS = 3
FEW_CLASSES = 15

_LINES_SHOWN = 5
_READ_AT = datetime(1970, 1, 1, tzinfo=UTC)  # the same in every run
_EMBED_BLOCK_TEXTS = 256


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file of labelled texts and its columns."""

    path: Path = FILE
    text_column: str = TEXT_COLUMN
    title_column: str | None = None
    label_column: str = LABEL_COLUMN


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items with the labels that people gave them. Item i has `labels[i]` and was row `rows[i]` of its file, from 0."""

    items: tuple[ComparedItem, ...]
    labels: tuple[Hashable, ...]
    rows: npt.NDArray[np.int64]
    rows_in_file: int


class OfSet(NamedTuple):
    """A label of one of several sets that are streamed together; equal labels of two sets are different ones."""

    number: int
    label: Hashable


@dataclass(frozen=True, slots=True)
class Stream:
    """Items in order of arrival, their unit vectors, shape (len(items), dimensions), and their labels."""

    items: tuple[ComparedItem, ...]
    vectors: Vectors
    labels: tuple[Hashable, ...]


# ---- reading -----------------------------------------------------------------------------------------------------


def read_labelled(file: LabelledFile, source: str = "bench") -> Labelled:
    """Return a file's items, cleaned and cut as in production, which makes no item of a row without text.

    Raises:
        BadInput: the file or a row cannot be read, a column is missing, or a row has no label.
    """
    items: list[ComparedItem] = []
    labels: list[Hashable] = []
    rows: list[int] = []
    unlabelled: list[int] = []
    number = 0
    path, text, title = file.path, file.text_column, file.title_column
    with open_table(path) as table:
        for name in (text, title, file.label_column):
            if name is not None and name not in table.columns:
                raise BadInput(f"{path} has no column {name!r}; its columns are: {', '.join(table.columns)}.")
        columns = Columns(text=text, title=title, skip=frozenset(table.columns) - {text, title})
        for row in table.rows:
            if row.problem is not None:
                raise BadInput(f"{path}: row {row.number} (line {row.line}) {row.problem}.")
            number = row.number
            label = row.values.get(file.label_column)
            row_label = "" if label is None else str(label).strip()
            if not row_label:
                unlabelled.append(row.line)
                continue
            try:
                ready = ready_row(row, columns, project_id=PROJECT, source=source, at=_READ_AT)
            except ValueError:
                continue
            items.append(compared_item(ready.item))
            labels.append(row_label)
            rows.append(number - 1)
    if unlabelled:
        lines = ", ".join(map(str, unlabelled[:_LINES_SHOWN])) + (", ..." if len(unlabelled) > _LINES_SHOWN else "")
        raise BadInput(
            f"{path}: {len(unlabelled):,} rows have no label in column {file.label_column!r} (lines {lines})."
        )
    if not items:
        raise BadInput(f"{path} has no rows with text in column {text!r}.")
    items = Boilerplate().without(items, [True] * len(items))
    return Labelled(tuple(items), tuple(labels), np.array(rows, np.int64), number)


def read_vectors(path: Path, data: Labelled) -> Vectors:
    """Return the items' vectors from a .npy with one row for each row of the items' file, scaled to unit length.

    A row of zeros stays zero; the static embedder returns one for a text without a known word.

    Raises:
        BadInput: it is not such a file, has another number of rows, or holds values that are not finite.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a .npy of numbers: {error}.") from error
    if not isinstance(loaded, np.ndarray) or loaded.ndim != 2 or loaded.dtype.kind not in "fiu" or not loaded.shape[1]:
        raise BadInput(f"{path} is not a .npy of one row of numbers for each text.")
    if len(loaded) != data.rows_in_file:
        raise BadInput(f"{path} has {len(loaded):,} rows, the texts have {data.rows_in_file:,}: give one for each.")
    vectors = loaded[data.rows].astype(np.float32)
    if not np.isfinite(vectors).all():
        raise BadInput(f"{path} holds values that are not finite.")
    return unit(vectors)


def embed(data: Labelled, embedder: str, report: Callable[[int], None] = lambda done: None) -> tuple[Labelled, Vectors]:
    """Return the items, with the languages that the embedder may not know, and the vectors of their texts.

    `embedder` is one of `EMBEDDERS`, or a model2vec folder.

    Raises:
        BadInput: there is no such embedder.
    """
    model = _model(embedder)
    texts = [item.text for item in data.items]
    parts = []
    for at in range(0, len(texts), _EMBED_BLOCK_TEXTS):
        parts.append(model.embed_now(texts[at : at + _EMBED_BLOCK_TEXTS]))
        report(min(at + _EMBED_BLOCK_TEXTS, len(texts)))
    items = [with_languages(item, language_of(item.text), model.languages) for item in data.items]
    return replace(data, items=tuple(items)), np.concatenate(parts)


def _model(embedder: str) -> Model:
    if embedder in EMBEDDERS:
        return EMBEDDERS[embedder]()
    folder = Path(embedder)
    if not all((folder / name).is_file() for name in MODEL_FILES):
        names = ", ".join(EMBEDDERS)
        raise BadInput(f"{embedder!r} is not an embedder: give one of {names}, or a folder with a model2vec model.")
    try:
        return StaticEmbedder(folder)
    except Exception as error:  # the library's errors have no common base
        raise BadInput(f"The model2vec model in {folder} cannot be read: {error}.") from error


# ---- shapes and orders -------------------------------------------------------------------------------------------


def combined(sets: Sequence[tuple[Labelled, Vectors]]) -> tuple[Labelled, Vectors]:
    """Return several sets as one, one after the other; their labels become `OfSet`.

    Raises:
        BadInput: half of the texts of one are in another, or their vectors have different dimensions.
    """
    texts = [{item.text for item in data.items} for data, _ in sets]
    for (one, of_one), (other, of_other) in combinations(enumerate(texts), 2):
        if 2 * len(of_one & of_other) > min(len(of_one), len(of_other)):
            raise BadInput(f"Sets {one + 1} and {other + 1} have the same texts; mix others.")
    dimensions = sorted({vectors.shape[1] for _, vectors in sets})
    if len(dimensions) > 1:
        raise BadInput(f"The sets have vectors of {' and '.join(map(str, dimensions))} dimensions.")
    before = list(accumulate((data.rows_in_file for data, _ in sets), initial=0))
    data = Labelled(
        tuple(item for data, _ in sets for item in data.items),
        tuple(OfSet(number, label) for number, (data, _) in enumerate(sets) for label in data.labels),
        np.concatenate([start + data.rows for start, (data, _) in zip(before[:-1], sets, strict=True)]),
        before[-1],
    )
    return data, np.concatenate([vectors for _, vectors in sets])


def sampled(data: Labelled, vectors: Vectors, count: int, seed: int) -> tuple[Labelled, Vectors]:
    """Return `count` random items in their order; all rows of the file still count as its rows."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(data.items))[:count])
    part = Labelled(
        tuple(data.items[row] for row in rows),
        tuple(data.labels[row] for row in rows),
        data.rows[rows],
        data.rows_in_file,
    )
    return part, vectors[rows]


def stream(data: Labelled, vectors: Vectors, shape: Shape, order: Order, seed: int) -> Stream:
    """Return the items of a shape in an order, each at most once; a class is the items with one label.

    Shapes; those that take a part of the items take it at random:

    - `as-is`: all items.
    - `zipf`: the classes in random order; the class of rank r keeps 1/r of the largest class's number of items, at
      least one, and at most what it has.
    - `few-per-class`: `FEW_PER_CLASS` items of each class.
    - `few-classes`: `FEW_CLASSES` of the largest classes (of twice as many), with all their items.
    - `near-singletons`: one item of nine classes in ten, two or three of the others.

    Orders: `arrival` as in the file, `shuffled` at random, `topic` class after class, classes and items at random.
    """
    random = np.random.default_rng(seed)
    classes = codes(data.labels)
    rows = _taken(classes, _sizes(classes, shape, random), random)
    if order != "arrival":
        rows = random.permutation(rows)
    if order == "topic":
        rank = random.permutation(int(classes.max()) + 1)
        rows = rows[np.argsort(rank[classes[rows]], kind="stable")]
    return Stream(
        tuple(
            replace(data.items[row], created_at=FIRST_ITEM_AT + timedelta(seconds=at)) for at, row in enumerate(rows)
        ),
        np.ascontiguousarray(vectors[rows]),
        tuple(data.labels[row] for row in rows),
    )


def _sizes(classes: Codes, shape: Shape, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return how many items of each class a shape takes, if the class has that many."""
    own = np.bincount(classes)
    rank = random.permutation(len(own))
    if shape == "zipf":
        sizes: npt.NDArray[np.int64] = np.maximum(np.rint(own.max() / (rank + 1)).astype(np.int64), 1)
        return sizes
    if shape == "few-per-class":
        return np.full(len(own), FEW_PER_CLASS)
    if shape == "few-classes":
        largest = np.argsort(-own, kind="stable")[: 2 * FEW_CLASSES]
        kept = random.choice(largest, min(FEW_CLASSES, len(largest)), replace=False)
        return np.where(np.isin(np.arange(len(own)), kept), own, 0)
    if shape == "near-singletons":
        return np.where(10 * rank < len(own), random.integers(2, 4, len(own)), 1)
    return own


def _taken(classes: Codes, sizes: npt.NDArray[np.int64], random: np.random.Generator) -> Codes:
    """Return the rows, ascending, of as many random items of each class as `sizes` says, or of all that it has."""
    rows = random.permutation(len(classes))
    rows = rows[np.argsort(classes[rows], kind="stable")]
    own = np.bincount(classes)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(own) - own, own)
    return np.sort(rows[within < np.repeat(sizes, own)])
