"""A clusterer in a plain loop on one core: what `bench clustering` measures, in its own process.

The process holds nothing but the items, so its memory grows by what the clusterer takes.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import psutil

from soulcaster.bench.alone import print_progress, run_alone, use_one_core
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.consolidation.identity import decide_and_describe
from soulcaster.domain.clustering.features.vectors import Vectors
from soulcaster.domain.feedback.items import ComparedItem

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What a round did: each public id that it merged away, with the id that this is now an alias of.

    `decision_seconds` are those that a worker spends in another thread, while items continue.
    """

    merged: Mapping[str, str]
    decision_seconds: float = 0.0


class MeasuredClusterer(Protocol):
    """A clusterer as it is measured: it takes items batch by batch, and says which clusters they are in."""

    def add(self, items: Sequence[ComparedItem], vectors: Vectors) -> list[float]:
        """Add items, in order; vectors are unit rows, shape (len(items), dimensions).

        Return the seconds of each round that was part of it.
        """

    def consolidate(self, *, last: bool) -> RoundReport | None:
        """Do a round if one is due, or if this is the end and something is left to do; return None if none was done.

        It is called after each batch, and at the end until it returns None.
        """

    def clusters(self) -> Sequence[str]:
        """Return the public id of every item's cluster, in order of arrival; its time is not measured."""

    def themes(self) -> Sequence[str]:
        """Return the id of every item's theme, or of its cluster where that is in none; its time is not measured."""


@dataclass(frozen=True, slots=True)
class MeasuredRound:
    """A round as measured; shares, from 0 to 1, are of the items that existed."""

    seconds: float
    decision_seconds: float
    """Of `seconds`, those that a worker spends in another thread."""
    changed: float
    """Share of items whose public id changed."""
    changed_without_merges: float
    """Share of items whose public id changed to another than the one that their old id is now an alias of."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A run as measured. Clusters are numbers; the same number is the same public id."""

    online: list[int]
    """The cluster of each item right after its batch."""
    final: list[int]
    """The cluster of each item after the last round."""
    themes: list[int]
    """The theme of each item after the last round; a cluster in no theme counts as one of its own."""
    batch_seconds: list[float]
    """For each call of `add`, without the rounds in it."""
    inline_round_seconds: list[float]
    """For each round that was part of `add`."""
    rounds: list[MeasuredRound]
    resident_bytes: int
    """How much the process grew. The allocator takes and returns whole pages, so it is rough below some MB."""


class CurrentClusterer:
    """The clusterer that workers run; only this class decides which clusterer is measured."""

    def __init__(self, dimensions: int) -> None:
        """Start without items."""
        self._clusterer = Clusterer("bench", dimensions)
        self._slots: list[int] = []
        self._complete = False

    def add(self, items: Sequence[ComparedItem], vectors: Vectors) -> list[float]:
        """Add items; while the project is small, rounds are part of it."""
        rounds = []
        begin = time.perf_counter()
        for done in self._clusterer.add(items, vectors):
            if isinstance(done, list):
                self._slots += [placement.slot for placement in done]
            else:
                rounds.append(time.perf_counter() - begin)
            begin = time.perf_counter()
        if rounds:
            rounds[-1] += time.perf_counter() - begin  # their titles
        return rounds

    def consolidate(self, *, last: bool) -> RoundReport | None:
        """Do a round if one is due; at the end, until a round leaves nothing to do."""
        rounds = self._clusterer.rounds
        if rounds.until_due() > 0 and (not last or self._complete):
            return None
        snapshot = self._clusterer.rounds.snapshot()
        begin = time.perf_counter()
        decision = decide_and_describe(snapshot)
        decision_seconds = time.perf_counter() - begin
        outcome = self._clusterer.rounds.finish(snapshot, decision)
        self._complete = last and self._clusterer.rounds.complete
        clusters = self._clusterer.state.clusters
        merged = outcome.merged if outcome else ()
        return RoundReport({clusters[number].id: clusters[into].id for number, into in merged}, decision_seconds)

    def clusters(self) -> Sequence[str]:
        """Return the id of each item's cluster."""
        clusters, of = self._clusterer.state.clusters, self._clusterer.state.index.cluster_numbers
        return [clusters[number].id for number in of[np.array(self._slots, np.int64)].tolist()]

    def themes(self) -> Sequence[str]:
        """Return the id of each item's theme, or of its cluster where that is in none."""
        state = self._clusterer.state
        state.settle_themes()
        of = [state.cluster_at(slot) for slot in self._slots]
        return [cluster.theme_id or cluster.id for cluster in of]


def drive(
    make: Callable[[int], MeasuredClusterer],
    items: Sequence[ComparedItem],
    vectors: Vectors,
    batch: int,
    report: Callable[[int], None] = lambda done: None,
) -> Measured:
    """Return how a new clusterer, `make(dimensions)`, does with items in batches; `report` gets how many are done."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    clusterer = make(vectors.shape[1])
    numbers: dict[str, int] = {}
    online = np.empty(len(items), np.int32)
    batch_seconds: list[float] = []
    inline_round_seconds: list[float] = []
    rounds: list[MeasuredRound] = []
    now = online[:0]
    for at in range(0, len(items), batch):
        some = items[at : at + batch]
        rows = vectors[at : at + batch].copy()  # as a message decodes: the clusterer may keep them
        begin = time.perf_counter()
        inline = clusterer.add(some, rows)
        batch_seconds.append(time.perf_counter() - begin - sum(inline))
        inline_round_seconds += inline
        now = _numbered(numbers, clusterer.clusters())
        online[at : at + len(some)] = now[at:]
        now = _consolidate(clusterer, numbers, now, rounds, last=False)
        report(at + len(some))
    final = _consolidate(clusterer, numbers, now, rounds, last=True)
    themes = _numbered({}, clusterer.themes())
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    return Measured(
        online.tolist(), final.tolist(), themes.tolist(), batch_seconds, inline_round_seconds, rounds, grown
    )


def _consolidate(
    clusterer: MeasuredClusterer, numbers: dict[str, int], before: Numbers, rounds: list[MeasuredRound], *, last: bool
) -> Numbers:
    """Let the clusterer do its rounds, add them to `rounds`, and return the items' clusters after them."""
    while True:
        begin = time.perf_counter()
        done = clusterer.consolidate(last=last)
        seconds = time.perf_counter() - begin
        if done is None:
            return before
        after = _numbered(numbers, clusterer.clusters())
        alias = np.arange(len(numbers) + 2 * len(done.merged), dtype=np.int32)
        for old, new in done.merged.items():
            while new in done.merged:
                new = done.merged[new]  # merged twice in one round
            alias[numbers.setdefault(old, len(numbers))] = numbers.setdefault(new, len(numbers))
        changed = before != after
        moved = changed & (alias[before] != after)
        rounds.append(MeasuredRound(seconds, done.decision_seconds, float(changed.mean()), float(moved.mean())))
        before = after


def _numbered(numbers: dict[str, int], ids: Sequence[str]) -> Numbers:
    """Return a number for each id, kept in `numbers`; a list of strings would count as the clusterer's memory."""
    return np.fromiter((numbers.setdefault(of, len(numbers)) for of in ids), np.int32, len(ids))


def drive_alone(items: Sequence[ComparedItem], vectors: Vectors, batch: int, report: Callable[[int], None]) -> Measured:
    """Return what `drive` measures for the current clusterer in a new process with one thread on one core.

    Raises:
        SoulcasterError: the process failed; its error is on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as name:
        folder = Path(name)
        (folder / "items").write_bytes(msgspec.msgpack.encode(items))
        np.save(folder / "vectors.npy", vectors)
        run_alone("soulcaster.bench.clustering_loop", name, str(batch), report=report)
        return msgspec.msgpack.decode((folder / "measured").read_bytes(), type=Measured)


def _main(folder: Path, batch: int) -> None:
    items = msgspec.msgpack.decode((folder / "items").read_bytes(), type=list[ComparedItem])
    vectors = np.load(folder / "vectors.npy")
    measured = drive(CurrentClusterer, items, vectors, batch, print_progress)
    (folder / "measured").write_bytes(msgspec.msgpack.encode(measured))


if __name__ == "__main__":
    use_one_core()
    _main(Path(sys.argv[1]), int(sys.argv[2]))
