"""The clusters of one project: which item is where, one core an embedder, and the rows that hold it all.

A step takes items and gives events and the table's changes. Its row is atomic: it holds the assignments and the
clusters they changed together, so that after a crash an item is either assigned and counted or neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from soulcaster.domain.clustering.core import Core, Vectors
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned
from soulcaster.domain.feedback import Brief
from soulcaster.domain.segments import RowChange, Segments

RECORD_BYTES = 16
"""An item's record is the id of its cluster."""

_SEPARATOR = b"\0"


@dataclass(frozen=True, slots=True)
class EmbedderKey:
    """Which embedder a vector is of; two never meet in one core."""

    name: str
    version: str
    dimensions: int

    def prefix(self) -> bytes:
        """Return what the keys of this embedder's blobs start with."""
        return f"{self.name}@{self.version}/{self.dimensions}".encode() + _SEPARATOR


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: events to send first, then rows to write."""

    events: tuple[ClusterEvent, ...]
    rows: tuple[RowChange, ...]


MakeCore = Callable[[str, int], Core]
"""Makes the core of (project id, dimensions)."""


class ProjectClusters:
    """One project's clusters, the single writer of their rows."""

    def __init__(self, project_id: str, segments: Segments, make_core: MakeCore) -> None:
        """Take up the state the rows hold; `segments` has records of `RECORD_BYTES`."""
        self._project_id = project_id
        self._segments = segments
        self._make_core = make_core
        self._cores: dict[EmbedderKey, Core] = {}
        self._saved = segments.blobs()

    def cluster_of(self, item_ids: Sequence[str]) -> list[str | None]:
        """Return the cluster each item is in, None for one not seen."""
        found = self._segments.get([UUID(item_id).bytes for item_id in item_ids])
        return [None if value is None else str(UUID(bytes=value)) for value in found]

    def add(self, embedder: EmbedderKey, items: Sequence[Brief], vectors: Vectors) -> Step:
        """Assign items that have no cluster yet; one that has keeps it, whatever its text says now."""
        new: dict[str, int] = {}
        for i, (item, cluster) in enumerate(zip(items, self.cluster_of([i.id for i in items]), strict=True)):
            if cluster is None:
                new.setdefault(item.id, i)
        if not new:
            return Step((), ())
        core = self._core(embedder)
        rows = list(new.values())
        assignments = core.add([items[i] for i in rows], vectors[rows])
        events: list[ClusterEvent] = [
            ItemAssigned(
                item_id=a.item.id,
                item_created_at=a.item.created_at,
                cluster_id=a.cluster_id,
                change=a.change,
                score=a.score,
                threshold=a.threshold,
                runner_up_id=a.runner_up_id,
                runner_up_score=a.runner_up_score,
            )
            for a in assignments
        ]
        for cluster_id in dict.fromkeys(a.cluster_id for a in assignments):
            c = core.cluster(cluster_id)
            events.append(ClusterChanged(c.id, c.title, c.summary, c.size, c.sources, c.created_at, c.updated_at))
        records = {UUID(a.item.id).bytes: UUID(a.cluster_id).bytes for a in assignments}
        prefix = embedder.prefix()
        blobs = {prefix + key: blob for key, blob in core.dump().items()}
        return Step(tuple(events), tuple(self._segments.commit(records, blobs)))

    def _core(self, embedder: EmbedderKey) -> Core:
        core = self._cores.get(embedder)
        if core is None:
            core = self._make_core(self._project_id, embedder.dimensions)
            prefix = embedder.prefix()
            mine = {key[len(prefix) :]: blob for key, blob in self._saved.items() if key.startswith(prefix)}
            core.load(mine)
            self._saved = {key: blob for key, blob in self._saved.items() if not key.startswith(prefix)}
            self._cores[embedder] = core
        return core
