"""Labelled texts for `bench clustering`: read from files as production would read them, then shaped and ordered.

Everything left to chance is drawn from the seed alone, so that the same options give the same stream.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from soulcaster.adapters.embedders.static import DEFAULT_FOLDER, StaticEmbedder
from soulcaster.adapters.table_files import open_table
from soulcaster.bench import Order, Shape
from soulcaster.bench.scores import Codes, codes
from soulcaster.domain.clustering.vectors import Vectors
from soulcaster.domain.feedback.items import Brief, brief
from soulcaster.errors import BadInput
from soulcaster.services.file_import import ready_row
from soulcaster.services.import_columns import Columns

Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])

PROJECT = "bench"
FIRST_ITEM_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first item of a stream was said; each one after it is a second later."""

FEW_PER_CLASS = 3
FEW_CLASSES = 15

_SHOWN = 5
_READ_AT = datetime(1970, 1, 1, tzinfo=UTC)  # the same at every run
_EMBED_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items that people gave labels. Item i has `labels[i]` and was row `rows[i]` of its file (from 0)."""

    items: tuple[Brief, ...]
    labels: tuple[Hashable, ...]
    rows: npt.NDArray[np.int64]
    rows_in_file: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Items in the order they come, their unit vectors, shape (len(items), dimensions), and their labels."""

    items: tuple[Brief, ...]
    vectors: Vectors
    labels: tuple[Hashable, ...]


# ---- reading -----------------------------------------------------------------------------------------------------


def read_labelled(path: Path, text: str, title: str | None, label: str, source: str = "bench") -> Labelled:
    """Return a file's items, cleaned and cut as production does; a row without text is no item there, nor here.

    Raises:
        BadInput: the file or a row cannot be read, a column is not there, or a row has no label.
    """
    items: list[Brief] = []
    labels: list[Hashable] = []
    rows: list[int] = []
    unlabelled: list[int] = []
    number = 0
    with open_table(path) as table:
        for name in (text, title, label):
            if name is not None and name not in table.columns:
                raise BadInput(f"{path} has no column {name!r}; its columns are: {', '.join(table.columns)}.")
        columns = Columns(text=text, title=title, skip=frozenset(table.columns) - {text, title})
        for row in table.rows:
            if row.problem is not None:
                raise BadInput(f"{path}: row {row.number} (line {row.line}) {row.problem}.")
            number = row.number
            of_row = str(row.values.get(label) or "").strip()
            if not of_row:
                unlabelled.append(row.line)
                continue
            try:
                ready = ready_row(row, columns, project_id=PROJECT, source=source, at=_READ_AT)
            except ValueError:
                continue
            items.append(brief(ready.item))
            labels.append(of_row)
            rows.append(number - 1)
    if unlabelled:
        lines = ", ".join(map(str, unlabelled[:_SHOWN])) + (", ..." if len(unlabelled) > _SHOWN else "")
        raise BadInput(f"{path}: {len(unlabelled):,} rows have no label in column {label!r} (lines {lines}).")
    if not items:
        raise BadInput(f"{path} has no rows with text in column {text!r}.")
    return Labelled(tuple(items), tuple(labels), np.array(rows, np.int64), number)


def read_vectors(path: Path, data: Labelled) -> Vectors:
    """Return the vectors of a .npy, one row for each row of the file the items are from, at unit length.

    A row of zeros stays one, as the static embedder gives for a text it knows no word of.

    Raises:
        BadInput: it is not such a file, has not as many rows, or holds what is not a finite number.
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


def embed(data: Labelled, embedder: str, report: Callable[[int], None] = lambda done: None) -> Vectors:
    """Return the vectors of the items' texts; `embedder` is `static`, the shipped model, or a model2vec folder.

    Raises:
        BadInput: there is no such embedder.
    """
    folder = DEFAULT_FOLDER if embedder == "static" else Path(embedder)
    if not all((folder / name).is_file() for name in ("config.json", "model.safetensors", "tokenizer.json")):
        raise BadInput(f"{embedder!r} is no embedder: give 'static', or a folder with a model2vec model.")
    try:
        model = StaticEmbedder(folder)
    except Exception as error:  # its libraries have no base for theirs
        raise BadInput(f"The model2vec model in {folder} cannot be read: {error}.") from error
    texts = [item.text for item in data.items]
    vectors = np.empty((len(texts), model.dimensions), np.float32)
    for at in range(0, len(texts), _EMBED_BLOCK):
        vectors[at : at + _EMBED_BLOCK] = model.embed_now(texts[at : at + _EMBED_BLOCK])
        report(min(at + _EMBED_BLOCK, len(texts)))
    return vectors


def unit(vectors: Floats) -> Floats:
    """Return the rows at length one; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


# ---- shapes and orders -------------------------------------------------------------------------------------------


def together(one: tuple[Labelled, Vectors], other: tuple[Labelled, Vectors]) -> tuple[Labelled, Vectors]:
    """Return two sets as one (the shape `mixed`), the second after the first; equal labels of the two stay apart.

    Raises:
        BadInput: they are the same set, at least in part, or their vectors are not of one length.
    """
    (first, of_first), (second, of_second) = one, other
    texts = {item.text for item in first.items}, {item.text for item in second.items}
    if 2 * len(texts[0] & texts[1]) > min(map(len, texts)):
        raise BadInput("Both sets have the same texts (the second is the demo data unless --with says); mix others.")
    if of_first.shape[1] != of_second.shape[1]:
        raise BadInput(f"The two sets have vectors of {of_first.shape[1]} and {of_second.shape[1]} dimensions.")
    data = Labelled(
        first.items + second.items,
        (*((0, label) for label in first.labels), *((1, label) for label in second.labels)),
        np.concatenate([first.rows, first.rows_in_file + second.rows]),
        first.rows_in_file + second.rows_in_file,
    )
    return data, np.concatenate([of_first, of_second])


def stream(data: Labelled, vectors: Vectors, shape: Shape, order: Order, seed: int) -> Stream:
    """Return the items of a shape in an order, each at most once.

    Shapes, where they take some of the items only, take them at random:

    - `as-is` and `mixed`: all items.
    - `zipf`: the classes in random order; the one of rank r keeps as many items as the largest class has, by r, if it
      has them, and at least one.
    - `few-per-class`: `FEW_PER_CLASS` of each class.
    - `few-classes`: `FEW_CLASSES` of the largest classes (of twice as many), with all their items.
    - `near-singletons`: of nine classes in ten a single item, of the others two or three.

    Orders: `arrival` as in the file, `shuffled` at random, `topic` class after class, classes and items at random.
    """
    chance = np.random.default_rng(seed)
    classes = codes(data.labels)
    rows = _taken(classes, _sizes(classes, shape, chance), chance)
    if order != "arrival":
        rows = chance.permutation(rows)
    if order == "topic":
        rank = chance.permutation(int(classes.max()) + 1)
        rows = rows[np.argsort(rank[classes[rows]], kind="stable")]
    return Stream(
        tuple(
            replace(data.items[row], created_at=FIRST_ITEM_AT + timedelta(seconds=at)) for at, row in enumerate(rows)
        ),
        np.ascontiguousarray(vectors[rows]),
        tuple(data.labels[row] for row in rows),
    )


def _sizes(classes: Codes, shape: Shape, chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return how many items of each class a shape takes, where there are so many."""
    own = np.bincount(classes)
    place = chance.permutation(len(own))
    if shape == "zipf":
        sizes: npt.NDArray[np.int64] = np.maximum(np.rint(own.max() / (place + 1)).astype(np.int64), 1)
        return sizes
    if shape == "few-per-class":
        return np.full(len(own), FEW_PER_CLASS)
    if shape == "few-classes":
        largest = np.argsort(-own, kind="stable")[: 2 * FEW_CLASSES]
        kept = chance.choice(largest, min(FEW_CLASSES, len(largest)), replace=False)
        return np.where(np.isin(np.arange(len(own)), kept), own, 0)
    if shape == "near-singletons":
        return np.where(10 * place < len(own), chance.integers(2, 4, len(own)), 1)
    return own


def _taken(classes: Codes, sizes: npt.NDArray[np.int64], chance: np.random.Generator) -> Codes:
    """Return the rows, ascending, of as many random items of each class as `sizes` says, or of all it has."""
    rows = chance.permutation(len(classes))
    rows = rows[np.argsort(classes[rows], kind="stable")]
    own = np.bincount(classes)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(own) - own, own)
    return np.sort(rows[within < np.repeat(sizes, own)])
