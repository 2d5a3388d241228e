"""The clusters of one project: which item is where, one core an embedder, and the rows that hold it all.

A step takes items and gives events and the table's changes. Its row is atomic: it holds the assignments and the
clusters they changed together, so that after a crash an item is either assigned and counted or neither.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from soulcaster.domain.clustering.core import Cluster, Core, Vectors
from soulcaster.domain.commands import Fix, StartFix
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned
from soulcaster.domain.feedback import Brief
from soulcaster.domain.ids import id_bytes, job_id_for
from soulcaster.domain.segments import RowChange, Segments

RECORD_BYTES = 16
"""An item's record is the id of its cluster."""

_WAITING = b"command"
"""Blobs that start so are commands for clusters not known yet; the others are of a core, by its embedder's prefix."""

_SEPARATOR = b"\0"


@dataclass(frozen=True, slots=True)
class EmbedderKey:
    """Which embedder a vector is of; two never meet in one core."""

    name: str
    version: str
    dimensions: int

    def prefix(self) -> bytes:
        """Return what the keys of this embedder's blobs start with."""
        return b"core" + json.dumps([self.name, self.version, self.dimensions]).encode() + _SEPARATOR


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: events and fixes to send first, then rows to write."""

    events: tuple[ClusterEvent, ...] = ()
    fixes: tuple[Fix, ...] = ()
    rows: tuple[RowChange, ...] = ()


MakeCore = Callable[[str, int], Core]
"""Makes the core of (project id, dimensions)."""

_encode = msgspec.msgpack.Encoder().encode
_decode_command = msgspec.msgpack.Decoder(StartFix).decode


class ProjectClusters:
    """One project's clusters, the single writer of their rows.

    A step changes what is in memory before its rows are written: a caller that fails in between throws the object away
    and loads it from its rows again.
    """

    def __init__(self, project_id: str, segments: Segments, make_core: MakeCore) -> None:
        """Take up the state the rows hold; `segments` has records of `RECORD_BYTES`."""
        self._project_id = project_id
        self._segments = segments
        self._make_core = make_core
        self._cores: dict[EmbedderKey, Core] = {}
        self._waiting: dict[str, StartFix] = {}
        saved: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        for key, blob in segments.blobs().items():
            head, _, rest = key.partition(_SEPARATOR)
            saved[head][rest] = blob
        for command in map(_decode_command, saved.pop(_WAITING, {}).values()):
            self._waiting[command.id] = command
        for head, blobs in saved.items():
            embedder = EmbedderKey(*json.loads(head.removeprefix(b"core")))
            self._core(embedder).load(blobs)

    def cluster_of(self, item_ids: Sequence[str]) -> list[str | None]:
        """Return the cluster each item is in, None for one not seen."""
        found = self._segments.get([id_bytes(item_id) for item_id in item_ids])
        return [None if value is None else str(UUID(bytes=value)) for value in found]

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return a cluster as it stands, or None."""
        found = (core.cluster(cluster_id) for core in self._cores.values())
        return next((cluster for cluster in found if cluster is not None), None)

    def add(self, embedder: EmbedderKey, items: Sequence[Brief], vectors: Vectors) -> Step:
        """Assign items that have no cluster yet; one that has keeps it, whatever its text says now."""
        new: dict[str, int] = {}
        for i, (item, cluster) in enumerate(zip(items, self.cluster_of([i.id for i in items]), strict=True)):
            if cluster is None:
                new[item.id] = i  # of one that comes twice, the newest version
        if not new:
            return Step()
        core = self._core(embedder)
        rows = sorted(new.values())
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
            if c is not None:
                events.append(ClusterChanged(c.id, c.title, c.summary, c.size, c.sources, c.created_at, c.updated_at))
        records = {id_bytes(a.item.id): id_bytes(a.cluster_id) for a in assignments}
        prefix = embedder.prefix()
        blobs = {prefix + key: blob for key, blob in core.dump().items()}
        opened = {a.cluster_id for a in assignments if a.change == "opened"}
        due = [command for command in self._waiting.values() if command.cluster_id in opened]
        fixes = tuple(self._fix(command, records, blobs) for command in due)
        return Step(tuple(events), fixes, tuple(self._segments.commit(records, blobs)))

    def start_fix(self, command: StartFix) -> Step:
        """Ask for a fix: launched at once, or, when the cluster is not known yet, as soon as it is; once a command."""
        job_id = job_id_for(command.id)
        if self.cluster_of([job_id]) != [None]:
            return Step()
        records: dict[bytes, bytes] = {}
        blobs: dict[bytes, bytes] = {}
        if self.cluster(command.cluster_id) is None:
            self._waiting[command.id] = command
            blobs[_waiting_key(command)] = _encode(command)
            return Step(rows=tuple(self._segments.commit(records, blobs)))
        fix = self._fix(command, records, blobs)
        return Step(fixes=(fix,), rows=tuple(self._segments.commit(records, blobs)))

    def _fix(self, command: StartFix, records: dict[bytes, bytes], blobs: dict[bytes, bytes]) -> Fix:
        """Return the fix of a command, marking it as launched: the job's id has a record, as items have."""
        job_id = job_id_for(command.id)
        records[id_bytes(job_id)] = id_bytes(command.cluster_id)
        if self._waiting.pop(command.id, None):
            blobs[_waiting_key(command)] = b""
        cluster = self.cluster(command.cluster_id)
        title = cluster.title if cluster else ""
        return Fix(job_id, command.cluster_id, title, command.requested_by, command.requested_at)

    def _core(self, embedder: EmbedderKey) -> Core:
        core = self._cores.get(embedder)
        if core is None:
            core = self._cores[embedder] = self._make_core(self._project_id, embedder.dimensions)
        return core


def _waiting_key(command: StartFix) -> bytes:
    return _WAITING + _SEPARATOR + command.id.encode()
