"""`soulcaster bench grouping`: the clusterer on a whole list of labelled sets, each alone or all in one stream.

The list is a folder of files, or a .toml with a table for each set:

    [tickets]
    texts = "tickets.csv"  # relative to the list
    text_column = "body"  # what is left out is as the command says
    title_column = "subject"
    label_column = "topic"
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from soulcaster.adapters.table_files.files import KINDS
from soulcaster.bench import Order
from soulcaster.bench.clustering import SetScores, levels, set_scores
from soulcaster.bench.clustering_loop import drive_alone
from soulcaster.bench.datasets import (
    STATIC,
    Labelled,
    LabelledFile,
    combined,
    embed,
    read_labelled,
    sampled,
    stream,
)
from soulcaster.bench.oracle import MAX_ROWS, best_cut
from soulcaster.bench.progress import Report
from soulcaster.bench.scores import Scores, all_singletons, score
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.errors import BadInput

SAMPLES = (50, 150, 500)
"""Items of the samples: a small project is what a new user sees first."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured; `mix` streams all sets together, `samples` adds samples of each set."""

    embedder: str = STATIC
    order: Order = "shuffled"
    seed: int = 0
    batch: int = 256
    samples: bool = False
    mix: bool = False


@dataclass(frozen=True, slots=True)
class SetFigures:
    """A set's scores as first assigned and after the last round, those of the themes, and the yardsticks.

    The oracle's F1 is of the set.
    """

    name: str
    items: int
    labels: int
    first: Scores
    last: Scores
    themes: Scores
    oracle_f1: float | None
    alone_f1: float


class _SetOfList(msgspec.Struct, forbid_unknown_fields=True):
    texts: str
    text_column: str | None = None
    title_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    data: Labelled
    vectors: Vectors


# ---- the list ----------------------------------------------------------------------------------------------------


def listed(path: Path, columns: LabelledFile) -> Mapping[str, LabelledFile]:
    """Return the sets of a folder or a list, by name; `columns` has the columns of a set that names none.

    Raises:
        BadInput: there is no set, or the list cannot be read.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in KINDS)
        sets = {file.stem: replace(columns, path=file) for file in files}
    else:
        try:
            tables = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, _SetOfList])
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise BadInput(f"{path} is not a folder, and cannot be read as a list of sets: {error}.") from error
        sets = {
            name: LabelledFile(
                path.parent / of_list.texts,
                of_list.text_column or columns.text_column,
                of_list.title_column or columns.title_column,
                of_list.label_column or columns.label_column,
            )
            for name, of_list in tables.items()
        }
    if not sets:
        raise BadInput(f"{path} has no sets: a folder needs files that end in {', '.join(sorted(KINDS))}.")
    return sets


# ---- measuring ---------------------------------------------------------------------------------------------------


def measure(files: Mapping[str, LabelledFile], options: Options, report: Report) -> Iterator[SetFigures]:
    """Yield the figures of each set as soon as they are known.

    Raises:
        BadInput: a file or an option cannot be used.
    """
    if options.mix and options.samples:
        raise BadInput("Give --mix or --samples, not both.")
    if options.mix:
        sets = [_read(name, file, options, report) for name, file in files.items()]
        yield from _together(sets, options, report)
        return
    for name, file in files.items():
        of_set = _read(name, file, options, report)
        for count in SAMPLES if options.samples else ():
            if count < len(of_set.data.items):
                part = sampled(of_set.data, of_set.vectors, count, options.seed)
                yield _alone(_Set(f"{name}, {count}", *part), options, report)
        yield _alone(of_set, options, report)


def _read(name: str, file: LabelledFile, options: Options, report: Report) -> _Set:
    data = read_labelled(file, source=name)
    count = len(data.items)
    return _Set(name, *embed(data, options.embedder, lambda done: report(f"embedding {name}", done, count)))


def _alone(of_set: _Set, options: Options, report: Report) -> SetFigures:
    items = stream(of_set.data, of_set.vectors, "as-is", options.order, options.seed)
    count = len(items.items)
    measured = drive_alone(
        items.items, items.vectors, options.batch, lambda done: report(f"clustering {of_set.name}", done, count)
    )
    return _figures(of_set, SetScores(*(score(clusters, items.labels) for clusters in levels(measured))))


def _together(sets: list[_Set], options: Options, report: Report) -> Iterator[SetFigures]:
    data, vectors = combined([(of_set.data, of_set.vectors) for of_set in sets])
    items = stream(data, vectors, "as-is", options.order, options.seed)
    count = len(items.items)
    measured = drive_alone(items.items, items.vectors, options.batch, lambda done: report("clustering", done, count))
    for of_set, scores in zip(sets, set_scores(items, measured), strict=True):
        yield _figures(of_set, scores)


def _figures(of_set: _Set, scores: SetScores) -> SetFigures:
    labels, vectors = of_set.data.labels, of_set.vectors
    return SetFigures(
        of_set.name,
        len(labels),
        len(set(labels)),
        scores.first,
        scores.last,
        scores.themes,
        best_cut(vectors, labels).bcubed_f1 if len(labels) <= MAX_ROWS else None,
        all_singletons(labels).bcubed_f1,
    )
