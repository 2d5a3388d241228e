"""A clusterer in a plain loop on one core: what `bench clustering` measures, in a separate process.

The process holds nothing but the items, so the growth of its memory is the clusterer's.
"""

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import faiss
import msgspec
import numpy as np
import numpy.typing as npt
import psutil

from soulcaster.domain.clustering.clusterer import Clusterer
from soulcaster.domain.clustering.identity import decide
from soulcaster.domain.clustering.vectors import Vectors
from soulcaster.domain.feedback.items import Brief
from soulcaster.errors import SoulcasterError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
"""The libraries read these when they are loaded."""

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: each public id that became an alias, and the id of the cluster it resolves to.

    `aside` is how many of its seconds a worker spends in another thread, while items continue.
    """

    merged: Mapping[str, str]
    aside: float = 0.0


class Learner(Protocol):
    """A clusterer as it is measured: it takes items batch by batch, and says where they are."""

    def add(self, items: Sequence[Brief], vectors: Vectors) -> list[float]:
        """Add items, in order; vectors are unit rows, shape (len(items), dimensions).

        Return the seconds of each round that was carried out on the way.
        """

    def consolidate(self, *, last: bool) -> Round | None:
        """Carry out a round if one is due, or if this is the last time and something is left to do; else return None.

        The driver calls it after each batch, and after the last batch until it returns None.
        """

    def clusters(self) -> Sequence[str]:
        """Return the public id of every item's cluster so far, in order of arrival; its time is not measured."""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """A round as measured; the shares, from 0 to 1, are of the items so far."""

    seconds: float
    aside: float
    """The part of the seconds that a worker spends in another thread."""
    changed: float
    """Share of items whose public id has changed."""
    merges_aside: float
    """Share of items whose public id has changed, unless their old id is now an alias of the new one."""


@dataclass(frozen=True, slots=True)
class Driven:
    """The result of a run. Clusters are numbers, one for each public id."""

    online: list[int]
    """The cluster of each item, right after its batch was added."""
    final: list[int]
    """The cluster of each item, after the last round."""
    batches: list[float]
    """Seconds of each call of `add`, without rounds on the way."""
    on_the_way: list[float]
    """Seconds of each round on the way."""
    consolidations: list[Consolidation]
    resident_bytes: int
    """The growth of the process. The allocator keeps pages as it likes, so this is rough below some MB."""


class CurrentClusterer:
    """The clusterer that workers run, as a learner; only this class decides which clusterer is measured."""

    def __init__(self, dimensions: int) -> None:
        """Start empty."""
        self._clusterer = Clusterer("bench", dimensions)
        self._slots: list[int] = []
        self._closed = False

    def add(self, items: Sequence[Brief], vectors: Vectors) -> list[float]:
        """Add items; while they are few, this carries out rounds."""
        rounds = []
        begin = time.perf_counter()
        for done in self._clusterer.add(items, vectors):
            if isinstance(done, list):
                self._slots += [placement.slot for placement in done]
            else:
                rounds.append(time.perf_counter() - begin)
            begin = time.perf_counter()
        return rounds

    def consolidate(self, *, last: bool) -> Round | None:
        """Carry out a round if one is due; the last time, until one leaves nothing to do."""
        if self._clusterer.rounds.until_due() > 0 and (not last or self._closed):
            return None
        snapshot = self._clusterer.rounds.snapshot()
        begin = time.perf_counter()
        decision = decide(snapshot)
        aside = time.perf_counter() - begin
        outcome = self._clusterer.rounds.finish(snapshot, decision)
        self._closed = last and self._clusterer.rounds.complete
        clusters = self._clusterer.state.clusters
        merged = outcome.merged if outcome else ()
        return Round({clusters[number].id: clusters[into].id for number, into in merged}, aside)

    def clusters(self) -> Sequence[str]:
        """Return the id of each item's cluster."""
        clusters, of = self._clusterer.state.clusters, self._clusterer.state.index.cluster_numbers
        return [clusters[number].id for number in of[np.array(self._slots, np.int64)].tolist()]


def drive(
    make: Callable[[int], Learner],
    items: Sequence[Brief],
    vectors: Vectors,
    batch: int,
    report: Callable[[int], None] = lambda done: None,
) -> Driven:
    """Return what a new learner (`make(dimensions)`) does with batches of items; `report` gets the number done."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    learner = make(vectors.shape[1])
    numbers: dict[str, int] = {}
    online = np.empty(len(items), np.int32)
    batches: list[float] = []
    on_the_way: list[float] = []
    consolidations: list[Consolidation] = []
    now = online[:0]
    for at in range(0, len(items), batch):
        some = items[at : at + batch]
        rows = vectors[at : at + batch].copy()  # as a message decodes: what the learner keeps is its own memory
        begin = time.perf_counter()
        rounds = learner.add(some, rows)
        batches.append(time.perf_counter() - begin - sum(rounds))
        on_the_way += rounds
        now = _numbered(numbers, learner.clusters())
        online[at : at + len(some)] = now[at:]
        now = _consolidated(learner, numbers, now, consolidations, last=False)
        report(at + len(some))
    final = _consolidated(learner, numbers, now, consolidations, last=True)
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    return Driven(online.tolist(), final.tolist(), batches, on_the_way, consolidations, grown)


def _consolidated(
    learner: Learner, numbers: dict[str, int], before: Numbers, consolidations: list[Consolidation], *, last: bool
) -> Numbers:
    """Let the learner carry out rounds, note what they did, and return where the items are now."""
    while True:
        begin = time.perf_counter()
        done = learner.consolidate(last=last)
        seconds = time.perf_counter() - begin
        if done is None:
            return before
        after = _numbered(numbers, learner.clusters())
        alias = np.arange(len(numbers) + 2 * len(done.merged), dtype=np.int32)
        for old, new in done.merged.items():
            while new in done.merged:
                new = done.merged[new]  # merged twice at once
            alias[numbers.setdefault(old, len(numbers))] = numbers.setdefault(new, len(numbers))
        changed = before != after
        moved = changed & (alias[before] != after)
        consolidations.append(Consolidation(seconds, done.aside, float(changed.mean()), float(moved.mean())))
        before = after


def _numbered(numbers: dict[str, int], ids: Sequence[str]) -> Numbers:
    """Return a number for each id, kept in `numbers`; a list of strings would count as the learner's memory."""
    return np.fromiter((numbers.setdefault(of, len(numbers)) for of in ids), np.int32, len(ids))


def drive_alone(items: Sequence[Brief], vectors: Vectors, batch: int, report: Callable[[int], None]) -> Driven:
    """Return `drive` of the current clusterer, run by a new process with one thread on one core.

    Raises:
        SoulcasterError: the process failed; its messages are on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as name:
        folder = Path(name)
        (folder / "items").write_bytes(msgspec.msgpack.encode(items))
        np.save(folder / "vectors.npy", vectors)
        command = [sys.executable, "-m", "soulcaster.bench.clustering_loop", name, str(batch)]
        with subprocess.Popen(  # noqa: S603  our own program
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
        ) as process:
            for line in process.stdout or ():
                report(int(line))
        if process.returncode:
            raise SoulcasterError(f"the benchmark process ended with {process.returncode}: {' '.join(command[1:])}")
        return msgspec.msgpack.decode((folder / "driven").read_bytes(), type=Driven)


def _main(folder: Path, batch: int) -> None:
    items = msgspec.msgpack.decode((folder / "items").read_bytes(), type=list[Brief])
    vectors = np.load(folder / "vectors.npy")
    driven = drive(CurrentClusterer, items, vectors, batch, lambda done: print(done, flush=True))  # noqa: T201  our parent reads
    (folder / "driven").write_bytes(msgspec.msgpack.encode(driven))


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    faiss.omp_set_num_threads(1)
    _main(Path(sys.argv[1]), int(sys.argv[2]))
