"""Archiving of micro-clusters that have had no new items for a while: a part after each round, the rest later.

`ProjectClusters` calls it after rounds and after items; it calls the clusterers' `archiving`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from soulcaster.domain.clustering.project.embedders import EmbedderClusters
from soulcaster.domain.clustering.project.item_records import RECORD_BYTES, ItemRecord, pack
from soulcaster.domain.clustering.project.state import ProjectState
from soulcaster.domain.clustering.project.steps import Step, StepDraft
from soulcaster.domain.segments import SEGMENT_BYTES
from soulcaster.domain.splitting import split_by_bytes

ARCHIVED_BYTES = SEGMENT_BYTES // 2
"""What the micro-clusters that one step archives may take in a row: tens of milliseconds of work."""

DAY_SECONDS = 86_400.0

_ITEM_BYTES = 16 + RECORD_BYTES
"""An item's id and record in a row."""

_MICRO_CLUSTER_BYTES = 256
"""About what an archived micro-cluster takes in a row besides its items: its cluster's blob, and its own, emptied."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Micro-clusters that one step archives."""

    clusters: EmbedderClusters
    slots: list[int]


class ArchiveSchedule:
    """Says what is to be archived, and archives it step by step."""

    def __init__(self, state: ProjectState, *, archive_days: int) -> None:
        """Archive micro-clusters whose newest item is so many days older than the project's newest; 0: never."""
        self._state = state
        self._seconds = archive_days * DAY_SECONDS

    def expired(self) -> list[Expired]:
        """Return what is to be archived, step by step."""
        if not self._seconds:
            return []
        embedders = self._state.embedders
        newest = max((clusters.clusterer.archiving.newest() for clusters in embedders), default=0.0)
        return [
            Expired(clusters, slots)
            for clusters in embedders
            for slots in split_by_bytes(_sizes(clusters, newest - self._seconds), ARCHIVED_BYTES)
        ]

    def note(self, expired: Sequence[Expired], draft: StepDraft) -> None:
        """Store whether something is left to archive."""
        self._state.set_expired_left(bool(expired), draft)

    def archive(self, expired: Sequence[Expired]) -> tuple[int, Step]:
        """Archive what comes first, and store whether more is left; return how many micro-clusters, and the step.

        Only a micro-cluster with too many items for one row takes several. Its first items are then archived before it
        is, and a crash in between leaves it with the others (`snapshot_codec.load`).
        """
        draft = StepDraft()
        rows = Step()
        for first in expired[:1]:
            records = [(packed, _ITEM_BYTES) for packed in self._archived_records(first)]
            first.clusters.clusterer.archiving.archive(first.slots)
            *full, last = split_by_bytes(records, SEGMENT_BYTES)
            for run in full:
                rows += Step(rows=tuple(self._state.segments.commit(dict(run), {})))
            draft.records |= dict(last)
        self.note(expired[1:], draft)
        return sum(len(first.slots) for first in expired[:1]), rows + self._state.commit(draft)

    def _archived_records(self, expired: Expired) -> list[tuple[bytes, bytes]]:
        """Return the records of archived items, after those of unsent items that lose their runner-up."""
        clusters, slots = expired.clusters, expired.slots
        index = clusters.state.index
        number_of = {item_id: index.number_of(slot) for slot in slots for item_id, _, _ in index.members(slot)}
        records: list[tuple[bytes, ItemRecord]] = self._state.without_runner_up(clusters, set(slots), but=number_of)
        ids = sorted(number_of)
        for item_id, record in zip(ids, self._state.records(ids), strict=True):
            if record is None:
                raise LookupError(f"item {item_id.hex()} has a micro-cluster but no record")
            records.append((item_id, record.archived_in(number_of[item_id])))
        return [(item_id, pack(record)) for item_id, record in records]


def _sizes(clusters: EmbedderClusters, before: float) -> list[tuple[int, int]]:
    """Return micro-clusters that have expired, and about how many bytes each takes in a row."""
    counts = clusters.state.index.counts
    slots = clusters.clusterer.archiving.expired(before)
    return [(slot, int(counts[slot]) * _ITEM_BYTES + _MICRO_CLUSTER_BYTES) for slot in slots]
