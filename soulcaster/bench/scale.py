"""`soulcaster bench scale`: what the clusterer costs as a project grows, on one core.

The stream is generated: topics in random directions, ten items each, with words drawn at random, so that every item is
a micro-cluster of its own. That is the hardest case for memory and search, and says nothing about the quality of
clusters. Then all of it comes twice more, and nothing opens. The rows of the table are kept as in a worker; they count
as memory, not as time.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import faiss
import numpy as np
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from agents.runtime.memory import give_back
from soulcaster.bench.clustering_loop import ONE_THREAD
from soulcaster.bench.feeds import demo_topics
from soulcaster.domain.clustering import snapshot_codec
from soulcaster.domain.clustering.clusterer import Clusterer
from soulcaster.domain.clustering.identity import decide
from soulcaster.domain.clustering.item_records import RECORD_BYTES
from soulcaster.domain.clustering.vectors import Vectors, unit
from soulcaster.domain.feedback.items import Brief
from soulcaster.domain.ids import id_bytes, item_id
from soulcaster.domain.segments import Segments
from soulcaster.errors import SoulcasterError

BATCH = 256
DIMENSIONS = 256
ITEMS_PER_TOPIC = 10

_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """A round and the batches just before it.

    A pause is what the stream waits for: taking a snapshot, or finishing. A group is a micro-cluster.
    """

    items: int
    groups: int
    items_per_s: int
    """Median of the last eight batches."""
    pause_ms: float
    consolidation_us_per_item: float
    resident_bytes_per_group: int
    """The growth of the process, including the rows of the table and what the allocator keeps."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A step for each round while micro-clusters open, and the memory when every item has come again."""

    steps: list[Step]
    resident_bytes_per_group: int
    """For a micro-cluster of two items, when all are stored again: up to half of a row's bytes may be outdated."""
    resident_bytes_per_item: int
    """What a third item of every micro-cluster adds."""


def run(items: int, report: Callable[[int], None]) -> Growth:
    """Return the costs of so many items, and of twice as many again that open no micro-cluster."""
    clusterer = Clusterer("bench", DIMENSIONS)
    table = Segments(RECORD_BYTES)
    before = psutil.Process().memory_info().rss
    seconds: list[float] = []
    steps: list[Step] = []
    for some, vectors in stream(items):
        begin = time.perf_counter()
        list(clusterer.add(some, vectors))
        seconds.append(time.perf_counter() - begin)
        _store(clusterer, some, table)
        if clusterer.rounds.until_due() <= 0:
            times = [time.perf_counter()]
            snapshot = clusterer.rounds.snapshot()
            times.append(time.perf_counter())
            decision = decide(snapshot)
            times.append(time.perf_counter())
            clusterer.rounds.finish(snapshot, decision)
            times.append(time.perf_counter())
            _store(clusterer, (), table)
            del snapshot, decision
            give_back()
            taking, deciding, finishing = np.diff(times).tolist()
            steps.append(
                Step(
                    clusterer.state.seen,
                    len(clusterer.state.index),
                    round(BATCH / float(np.median(seconds[-8:]))),
                    round(1000 * max(taking, finishing), 1),
                    round(1e6 * deciding / clusterer.state.seen, 1),
                    (psutil.Process().memory_info().rss - before) // len(clusterer.state.index),
                )
            )
        report(clusterer.state.seen)
    resident = []
    for occasion in ("again", "once more"):
        for some, vectors in stream(items):
            repeated = [replace(item, id=item_id("bench", occasion, item.id)) for item in some]
            list(clusterer.add(repeated, vectors))
            _store(clusterer, repeated, table)
            report(clusterer.state.seen)
        give_back()
        resident.append(psutil.Process().memory_info().rss - before)
    state = clusterer.state
    return Growth(steps, resident[0] // len(state.index), (resident[1] - resident[0]) * 3 // state.seen)


def _store(clusterer: Clusterer, items: Sequence[Brief], table: Segments) -> None:
    together, titles = snapshot_codec.dump_changes(clusterer.state)
    table.commit({id_bytes(item.id): bytes(RECORD_BYTES) for item in items}, together | titles)


def stream(items: int) -> Iterator[tuple[list[Brief], Vectors]]:
    """Yield batches of items and their vectors, with the precision of the wire (float16)."""
    chance, choice = np.random.default_rng(0), random.Random(0)  # noqa: S311  reproducible, not secret
    words = sorted({word for topic in demo_topics() for text in topic for word in text.split()})
    topics = max(1, items // ITEMS_PER_TOPIC)
    centres = unit(chance.standard_normal((topics, DIMENSIONS)).astype(np.float32))
    own = [[choice.choice(words) for _ in range(6)] for _ in range(topics)]
    for at in range(0, items, BATCH):
        of = chance.integers(0, topics, BATCH)
        noise = chance.standard_normal((BATCH, DIMENSIONS)).astype(np.float32) / np.float32(DIMENSIONS**0.5)
        vectors = unit(0.75 * centres[of] + 0.66 * noise).astype(np.float16).astype(np.float32)
        batch = []
        for i, topic in enumerate(of.tolist()):
            text = " ".join([*choice.sample(own[topic], 3), *(choice.choice(words) for _ in range(5))])
            batch.append(Brief(item_id("bench", "bench", str(at + i)), "bench", text[:80], text, _AT))
        yield batch, vectors


def main(items: int, as_json: bool) -> None:
    """Measure in a separate process, with one thread on one core, and print a table or JSON.

    Raises:
        SoulcasterError: the process failed; its messages are on stderr.
    """
    command = [sys.executable, "-m", "soulcaster.bench.scale", str(items), "json" if as_json else "table"]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, check=False)  # noqa: S603  our own program
    if done.returncode:
        raise SoulcasterError(f"the benchmark process ended with {done.returncode}: {' '.join(command[1:])}")


def _show(items: int, as_json: bool) -> None:
    columns = (TextColumn("clustering"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("clustering", total=3 * items)
        growth = run(items, lambda done: progress.update(task, completed=done))
    if as_json:
        print(json.dumps(asdict(growth), indent=2))  # noqa: T201  the result
        return
    table = Table(title=f"one core, batches of {BATCH}, {DIMENSIONS} dimensions; every item a micro-cluster")
    for column in ("items", "micro-clusters", "items/s", "pause, ms", "round, µs an item", "bytes a micro-cluster"):
        table.add_column(column, justify="right")
    for step in growth.steps:
        table.add_row(
            f"{step.items:,}",
            f"{step.groups:,}",
            f"{step.items_per_s:,}",
            f"{step.pause_ms:.1f}",
            f"{step.consolidation_us_per_item:.1f}",
            f"{step.resident_bytes_per_group:,}",
        )
    Console().print(table)
    Console().print(
        f"when every item comes again: {growth.resident_bytes_per_group:,} bytes a micro-cluster of two items,"
    )
    Console().print(f"{growth.resident_bytes_per_item:,} bytes for each further item")


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    faiss.omp_set_num_threads(1)
    _show(int(sys.argv[1]), sys.argv[2] == "json")
