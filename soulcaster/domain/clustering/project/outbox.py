"""The outbox of a project: what its last step still has to send (a transactional outbox).

It is stored in the step's row, so it must be small: of items and clusters it holds ids, and the events are made again
from the state. What the state does not say is kept whole.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from soulcaster.domain.clustering.project import event_factory
from soulcaster.domain.clustering.project.embedders import Embedders
from soulcaster.domain.clustering.project.item_records import unpack
from soulcaster.domain.clustering.project.steps import Step, StepDraft
from soulcaster.domain.events import ClusterChanged, ClusterEvent, ItemAssigned, ProposalsChanged, ThemesChanged
from soulcaster.domain.fixes.fix import Fix
from soulcaster.domain.ids import id_bytes
from soulcaster.domain.lifecycle import JobStep
from soulcaster.domain.segments import Segments


class _OutboxBlob(msgspec.Struct, array_like=True):
    item_ids: list[bytes] = []
    cluster_ids: list[str] = []
    events: list[tuple[str, Any]] = []
    proposals: bool = False
    fixes: list[Fix] = []
    job_steps: list[JobStep] = []
    themes: bool = False


_KINDS: Mapping[str, type[ClusterEvent]] = {
    str(kind.__dataclass_fields__["type"].default): kind for kind in get_args(ClusterEvent)
}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_OutboxBlob).decode


class Outbox:
    """What is stored and not known to be sent."""

    def __init__(self, blob: bytes | None = None) -> None:
        """Take up what `dump` has written, or start empty."""
        self._blob = _decode(blob) if blob else _OutboxBlob()

    def put(self, events: Iterable[ClusterEvent], fixes: Iterable[Fix], job_steps: Iterable[JobStep]) -> None:
        """Add what is to be sent."""
        blob = self._blob
        for event in events:
            if isinstance(event, ItemAssigned):
                blob.item_ids.append(id_bytes(event.item_id))
            elif isinstance(event, ClusterChanged):
                blob.cluster_ids.append(event.cluster_id)
            elif isinstance(event, ProposalsChanged):
                blob.proposals = True
            elif isinstance(event, ThemesChanged):
                blob.themes = True
            else:
                blob.events.append((event.type, event))
        blob.fixes += fixes
        blob.job_steps += job_steps

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is to be sent."""
        return self._blob == _OutboxBlob()

    def clear(self) -> bool:
        """Forget everything; return whether there was something of jobs, which must not be sent again much later."""
        had_jobs = bool(self._blob.fixes or self._blob.job_steps)
        self._blob = _OutboxBlob()
        return had_jobs

    def dump(self) -> bytes:
        """Return it as rows hold it."""
        return _encode(self._blob)

    def item_ids(self) -> list[bytes]:
        """Return the items whose assignment is not sent, each once."""
        return list(dict.fromkeys(self._blob.item_ids))

    def unsent(self, project_id: str, embedders: Embedders, segments: Segments) -> Step:
        """Return what is to be sent, made from the state as it is now; deleted items are left out."""
        events: list[ClusterEvent] = [msgspec.convert(event, _KINDS[kind]) for kind, event in self._blob.events]
        ids = self.item_ids()
        for item_id, raw in zip(ids, segments.get(ids), strict=True):
            record = None if raw is None else unpack(raw)
            location = embedders.locate(record)
            if record is not None and location is not None:
                events.append(event_factory.stored_assignment(project_id, item_id, record, location))
        draft = StepDraft(events)
        for found in dict.fromkeys(map(embedders.find_cluster, self._blob.cluster_ids)):
            if found is not None:
                event_factory.add_clusters(draft, found[0], [found[1]])
        if self._blob.proposals:
            draft.events.append(event_factory.proposals(embedders))
        if self._blob.themes:
            draft.events.append(event_factory.themes(embedders))
        return Step(tuple(draft.events), tuple(self._blob.fixes), job_steps=tuple(self._blob.job_steps))
