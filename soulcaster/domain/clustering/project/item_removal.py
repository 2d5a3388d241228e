"""Deleting items: their records, their micro-clusters, and what was proposed or asked about them.

`ProjectClusters.remove` calls it; it calls the clusterers' `deletion`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from soulcaster.domain.clustering.project import event_factory
from soulcaster.domain.clustering.project.embedders import EmbedderClusters
from soulcaster.domain.clustering.project.item_records import DELETED, DONE, ItemRecord
from soulcaster.domain.clustering.project.state import ProjectState
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.events import CommandDone, ItemRemoved
from soulcaster.domain.feedback.items import Deleted
from soulcaster.domain.ids import command_record_id, id_bytes


@dataclass(slots=True)
class _Removed:
    """Items of one embedder: ids by slot, how many archived ones by cluster number, and the fingerprint of each."""

    by_slot: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    archived: Counter[int] = field(default_factory=Counter)
    fingerprints: dict[bytes, int] = field(default_factory=dict)

    def take(self, item_id: bytes, record: ItemRecord) -> None:
        self.fingerprints[item_id] = record.fingerprint
        if record.state == "archived":
            self.archived[record.cluster] += 1
        else:
            self.by_slot[record.slot].append(item_id)


class ItemRemoval:
    """Removes items."""

    def __init__(self, state: ProjectState) -> None:
        """Work on this state."""
        self._state = state

    def remove(self, tombstones: Sequence[Deleted], draft: StepDraft) -> dict[bytes, str]:
        """Remove items, once each, whether they have come yet or not.

        Return the clusters they were in, by the 16 bytes of the item's id.
        """
        ids = [id_bytes(tombstone.id) for tombstone in tombstones]
        records = dict(zip(ids, self._state.records(ids), strict=True))
        removed: dict[EmbedderClusters, _Removed] = defaultdict(_Removed)
        was_in: dict[bytes, str] = {}
        for item_id, record in records.items():
            location = self._state.embedders.locate(record)
            if record is not None and location is not None:
                removed[location.clusters].take(item_id, record)
                was_in[item_id] = location.cluster_id
        for tombstone, item_id in zip(tombstones, ids, strict=True):
            if records[item_id] != DELETED:
                records[item_id] = DELETED
                draft.remember(item_id, DELETED)
                cluster_id = was_in.get(item_id)
                draft.events.append(ItemRemoved(tombstone.id, cluster_id, tombstone.at, tombstone.command_id))
        self._remove_from_clusters(removed, draft)
        return was_in

    def _remove_from_clusters(self, removed: Mapping[EmbedderClusters, _Removed], draft: StepDraft) -> None:
        embedders = self._state.embedders
        proposed = [clusters.state.proposals for clusters in embedders]
        for clusters, items in removed.items():
            changed = clusters.clusterer.deletion.remove(items.by_slot, items.archived, items.fingerprints)
            event_factory.add_clusters(draft, clusters, changed)
            freed = {slot for slot in items.by_slot if not clusters.state.index.counts[slot]}
            for item_id, record in self._state.without_runner_up(clusters, freed, but=draft.records):
                draft.remember(item_id, record)
        if proposed != [clusters.state.proposals for clusters in embedders]:
            draft.events.append(event_factory.proposals(embedders))

    def answer(
        self, tombstones: Sequence[Deleted], was_in: Mapping[bytes, str], at: datetime, draft: StepDraft
    ) -> None:
        """Say that items are deleted, once for each command that asked for it."""
        record_ids = {t.command_id: id_bytes(command_record_id(t.command_id)) for t in tombstones if t.command_id}
        known = self._state.segments.get(list(record_ids.values()))
        unanswered = {command_id for command_id, raw in zip(record_ids, known, strict=True) if raw is None}
        for tombstone in tombstones:
            command_id = tombstone.command_id
            if command_id and command_id in unanswered:
                unanswered.discard(command_id)
                draft.remember(record_ids[command_id], DONE)
                item_id = id_bytes(tombstone.id)
                about = (was_in[item_id],) if item_id in was_in else ()
                draft.events.append(CommandDone(command_id, "applied", "deleted", at, None, about))
