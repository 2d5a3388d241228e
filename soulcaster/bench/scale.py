"""`soulcaster bench scale`: what the clusterer costs as a project grows, on one core.

The stream is synthetic: topics in random directions, ten items each, of words drawn at random, and every item opens a
micro-cluster. That is the hardest case for memory and search; it says nothing about the quality of clusters. Then the
whole stream comes twice more, and opens none. The table's rows are kept as a worker keeps them, and count as memory but
not as time.

The figures have the names that they had before micro-clusters did: a group is a micro-cluster.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import psutil

from agents.runtime.memory import give_back
from soulcaster.bench.alone import print_progress, run_alone, use_one_core
from soulcaster.bench.feeds import demo_topics
from soulcaster.domain.clustering.clusterer import snapshot_codec
from soulcaster.domain.clustering.clusterer.clusterer import Clusterer
from soulcaster.domain.clustering.consolidation.identity import decide_and_describe
from soulcaster.domain.clustering.features.vectors import Vectors, unit
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.feedback.items import ComparedItem
from soulcaster.domain.ids import id_bytes, item_id
from soulcaster.domain.segments import Segments

BATCH = 256
DIMENSIONS = 256
ITEMS_PER_TOPIC = 10
REPETITIONS = 2
"""How often the whole stream comes again."""

STREAMS = 1 + REPETITIONS
SPEED_BATCHES = 8
"""Batches whose median is the speed before a round."""

_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RoundCost:
    """A round and the batches before it. The stream pauses while a snapshot is taken, and while a round is finished."""

    items: int
    groups: int
    items_per_s: int
    """Median of the last `SPEED_BATCHES` batches."""
    pause_ms: float
    consolidation_us_per_item: float
    resident_bytes_per_group: int
    """How much the process has grown, with the table's rows and what the allocator keeps."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The cost of each round while micro-clusters open, and of the repetitions."""

    steps: list[RoundCost]
    resident_bytes_per_group: int
    """Of a micro-cluster with two items, all of them stored again: up to half of a row's bytes can be outdated."""
    resident_bytes_per_item: int
    """What the third item of every micro-cluster has added."""


def measure(items: int, report: Callable[[int], None]) -> Growth:
    """Return what a stream of items and its two repetitions cost; `report` gets the number of items so far."""
    return _Measurement(report).run(items)


class _Measurement:
    """A clusterer and its table, growing."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._clusterer = Clusterer("bench", DIMENSIONS)
        self._table = Segments(RECORD_BYTES)
        give_back()  # else what the imports have freed would be taken for the clusterer's
        self._resident_before = _resident_bytes()

    def run(self, items: int) -> Growth:
        steps = self._grow(items)
        second, third = [self._repeat(items, number) for number in range(REPETITIONS)]
        state = self._clusterer.state
        return Growth(steps, second // len(state.index), (third - second) * STREAMS // state.seen)

    def _grow(self, items: int) -> list[RoundCost]:
        """Add the stream, and return the cost of each round."""
        seconds: list[float] = []
        steps: list[RoundCost] = []
        for batch, vectors in stream(items):
            begin = time.perf_counter()
            list(self._clusterer.add(batch, vectors))
            seconds.append(time.perf_counter() - begin)
            _store(self._clusterer, batch, self._table)
            if self._clusterer.rounds.until_due() <= 0:
                steps.append(self._round(items_per_s=round(BATCH / float(np.median(seconds[-SPEED_BATCHES:])))))
            self._report(self._clusterer.state.seen)
        return steps

    def _round(self, *, items_per_s: int) -> RoundCost:
        rounds, state = self._clusterer.rounds, self._clusterer.state
        times = [time.perf_counter()]
        snapshot = rounds.snapshot()
        times.append(time.perf_counter())
        decision = decide_and_describe(snapshot)
        times.append(time.perf_counter())
        rounds.finish(snapshot, decision)
        times.append(time.perf_counter())
        _store(self._clusterer, (), self._table)
        del snapshot, decision
        give_back()
        snapshotting, deciding, finishing = np.diff(times).tolist()
        return RoundCost(
            items=state.seen,
            groups=len(state.index),
            items_per_s=items_per_s,
            pause_ms=round(1000 * max(snapshotting, finishing), 1),
            consolidation_us_per_item=round(1e6 * deciding / state.seen, 1),
            resident_bytes_per_group=self._grown_bytes() // len(state.index),
        )

    def _repeat(self, items: int, number: int) -> int:
        """Add the stream again, as other items, and return how many bytes the process has grown by."""
        for batch, vectors in stream(items):
            again = [replace(item, id=item_id("bench", f"repetition {number}", item.id)) for item in batch]
            list(self._clusterer.add(again, vectors))
            _store(self._clusterer, again, self._table)
            self._report(self._clusterer.state.seen)
        give_back()
        return self._grown_bytes()

    def _grown_bytes(self) -> int:
        return _resident_bytes() - self._resident_before


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def _store(clusterer: Clusterer, items: Sequence[ComparedItem], table: Segments) -> None:
    changes, titles = snapshot_codec.dump_changes(clusterer.state)
    table.commit({id_bytes(item.id): bytes(RECORD_BYTES) for item in items}, changes | titles)


def stream(items: int) -> Iterator[tuple[list[ComparedItem], Vectors]]:
    """Yield batches of items and their vectors, rounded to float16 as on the wire."""
    rng, words_rng = np.random.default_rng(0), random.Random(0)  # noqa: S311  reproducible, not secret
    words = sorted({word for topic in demo_topics() for text in topic for word in text.split()})
    topics = max(1, items // ITEMS_PER_TOPIC)
    centres = unit(rng.standard_normal((topics, DIMENSIONS)).astype(np.float32))
    own = [[words_rng.choice(words) for _ in range(6)] for _ in range(topics)]
    for at in range(0, items, BATCH):
        of = rng.integers(0, topics, BATCH)
        noise = rng.standard_normal((BATCH, DIMENSIONS)).astype(np.float32) / np.float32(DIMENSIONS**0.5)
        vectors = unit(0.75 * centres[of] + 0.66 * noise).astype(np.float16).astype(np.float32)
        batch = []
        for i, topic in enumerate(of.tolist()):
            text = " ".join([*words_rng.sample(own[topic], 3), *(words_rng.choice(words) for _ in range(5))])
            batch.append(ComparedItem(item_id("bench", "bench", str(at + i)), "bench", text[:80], text, _AT))
        yield batch, vectors


def measure_alone(items: int, report: Callable[[int], None]) -> Growth:
    """Return what `measure` finds in a new process with one thread on one core.

    Raises:
        SoulcasterError: the process failed; its error is on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="soulcaster-bench-") as folder:
        found = Path(folder) / "growth"
        run_alone("soulcaster.bench.scale", str(items), str(found), report=report)
        return msgspec.msgpack.decode(found.read_bytes(), type=Growth)


if __name__ == "__main__":
    use_one_core()
    Path(sys.argv[2]).write_bytes(msgspec.msgpack.encode(measure(int(sys.argv[1]), print_progress)))
