"""Doubles of what agents use: batches, a table that checks its partition, a publisher and an embedder that fail."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from itertools import count

import numpy as np
import numpy.typing as npt

from agents.embed import Embed
from agents.normalize import ConfigOf, Normalize
from agents.runtime.batches import Batch
from agents.runtime.meter import Meter
from agents.runtime.runner import Agent, run_agent
from soulcaster.domain.clustering.project.clusters import ProjectClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.domain.feedback.dedupe import Seen
from soulcaster.domain.feedback.versions import MARK_BYTES
from soulcaster.domain.source_state import RepositoryState, SourceState
from soulcaster.ports.embedder import Embedder
from soulcaster.ports.messaging import Outgoing, Publisher, Record
from soulcaster.services.item_watch import ItemWatch
from soulcaster.services.project_limit import ProjectLimit
from soulcaster.services.source_limit import SourceLimit
from soulcaster.services.storage_limit import StorageLimit
from tables.segmented import ProjectPartition, SegmentedTable, States, partition_of
from tests.support.publisher import RecordingPublisher

AT_MS = 1_700_000_000_000
_offsets = count()


def record(topic: str, value: bytes | None, *, partition: int = 0, key: bytes | None = b"p1") -> Record:
    """Return a record of a topic, at an offset that no other record has."""
    return Record(topic, partition, next(_offsets), AT_MS, key, value)


def records(messages: Iterable[Outgoing], topic: str, partition: int = 0) -> list[Record]:
    """Return what was sent to a topic, as the next agent receives it."""
    return [record(topic, m.value, partition=partition, key=m.key) for m in messages if m.topic == topic]


class Rows(dict[bytes, bytes]):
    """A table that, as Faust's, is written only while an event of the row's partition is current; it raises `fail`."""

    def __init__(self, log: list[str] | None = None) -> None:
        super().__init__()
        self.log: list[str] = [] if log is None else log
        self.current: int | None = None
        self.fail: list[Exception] = []

    def enter(self, partition: int) -> None:
        self.current = partition

    def __setitem__(self, key: bytes, value: bytes) -> None:
        assert partition_of(key) == self.current
        if self.fail:
            raise self.fail.pop(0)
        self.log.append("row")
        super().__setitem__(key, value)

    def __delitem__(self, key: bytes) -> None:
        assert partition_of(key) == self.current
        super().__delitem__(key)

    def copied(self) -> "Rows":
        """Return a table with the same rows."""
        rows = Rows()
        dict.update(rows, self)
        return rows

    def seen(self) -> SegmentedTable[Seen]:
        return SegmentedTable(self, MARK_BYTES, lambda _project, segments: Seen(segments))

    def clusters(self) -> SegmentedTable[ProjectClusters]:
        return SegmentedTable(self, RECORD_BYTES, ProjectClusters)


class Flaky(RecordingPublisher):
    """A publisher that raises its `failures`, one a call, before it keeps messages; `log` has their topics."""

    def __init__(self, *failures: Exception, log: list[str] | None = None) -> None:
        super().__init__()
        self.failures = list(failures)
        self.log: list[str] = [] if log is None else log
        self.refuses: bytes | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.refuses and any(self.refuses in m.value for m in messages if m.topic != "dead-letters"):
            raise ValueError("this cannot be sent")
        self.log += dict.fromkeys(m.topic for m in messages)
        await super().publish(messages)

    def of(self, topic: str) -> list[Outgoing]:
        return [m for m in self.sent if m.topic == topic]

    @property
    def letters(self) -> list[Outgoing]:
        return self.of("dead-letters")


class HashEmbedder:
    """An embedder whose vectors are a hash of the first word: same first word, same direction."""

    name = "hash"
    version = "1"
    dimensions = 8
    languages = None

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.failures:
            raise self.failures.pop(0)
        self.texts += texts
        rows = [self.vector(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    def vector(self, text: str) -> npt.NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.split()[0].encode()).digest()[:4], "big")
        one = np.random.default_rng(seed).normal(size=self.dimensions)
        return (one / np.linalg.norm(one)).astype(np.float32)


class OneEmbedder:
    """The same embedder for all projects."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def choose(self, used: Sequence[EmbedderKey]) -> Embedder:
        return self._embedder


def embed_agent(seen: States[Seen], embedder: Embedder, publisher: Publisher) -> Embed:
    """Return the agent; no project has items yet."""

    async def used(_place: ProjectPartition) -> Sequence[EmbedderKey]:
        return ()

    return Embed(seen=seen, embedders=OneEmbedder(embedder), used=used, publisher=publisher)


async def stream(given: Iterable[Sequence[Record]], rows: Rows | None = None) -> AsyncIterator[Batch]:
    """Yield batches of these records; with `rows`, tables can be written as in Faust."""
    for some in given:
        yield Batch(tuple(some), rows.enter) if rows is not None else Batch(tuple(some))


def headers(letter: Outgoing) -> dict[str, str]:
    return {name: value.decode() for name, value in letter.headers}


async def run_batches(
    agent: Agent, batches: Iterable[Sequence[Record]], publisher: Publisher, rows: Rows | None = None
) -> list[int]:
    """Run an agent over batches of these records; return the number of results for each."""
    meter = Results(agent.name)
    await run_agent(agent, [stream(batches, rows)], publisher=publisher, meter=meter)
    return meter.results


class Results(Meter):
    """A meter that keeps how many results each batch gave."""

    def __init__(self, agent: str) -> None:
        super().__init__(agent)
        self.results: list[int] = []

    def done(self, records: Sequence[Record], results: int, seconds: float) -> None:
        super().done(records, results, seconds)
        self.results.append(results)


async def stored(partitions: Iterable[int]) -> None:
    """Return at once: a dict keeps rows when they are written."""


class NothingNamed:
    """A read model without projects and sources, in which a project stores nothing or so many bytes."""

    def __init__(self, stored: int = 0) -> None:
        self._stored = stored

    async def stored_bytes(self, project_id: str) -> int:
        """Return the bytes of the project p1; others store nothing."""
        return self._stored if project_id == "p1" else 0

    async def among(self, project_ids: Sequence[str]) -> tuple[int, Set[str]]:
        """Return that there are no projects."""
        return 0, set()

    async def list(self, project_id: str) -> tuple[SourceState, ...]:
        """Return no sources."""
        return ()

    async def repository(self, project_id: str, repository: str) -> RepositoryState | None:
        """Return None."""
        return None

    async def repositories(self, project_id: str) -> tuple[RepositoryState, ...]:
        """Return no repositories."""
        return ()


def normalizer(
    config_of: ConfigOf,
    publisher: Publisher,
    *,
    new_watch: Callable[[], ItemWatch] = ItemWatch,
    projects: int = 1_000,
    sources: int = 200,
    stored: int = 0,
) -> Normalize:
    """Return the agent of a new server, on which messages make so many projects and sources a project.

    The project p1 has stored so many bytes; a project may store 1,000.
    """
    nothing = NothingNamed(stored)
    return Normalize(
        config_of=config_of,
        project_limit=ProjectLimit(nothing, projects),
        source_limit=SourceLimit(nothing, sources),
        storage_limit=StorageLimit(nothing, 1_000),
        publisher=publisher,
        new_watch=new_watch,
    )
