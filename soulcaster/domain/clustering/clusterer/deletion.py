"""Deletion: items are taken out for good, with their texts and what people decided about what no longer exists.

Vectors of single items are not kept, so what is left of a micro-cluster keeps its means.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.consolidation import titles
from soulcaster.domain.clustering.micro_clusters.micro_cluster import pack_members


class Deletion:
    """Removes items."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state

    def remove(
        self, items: Mapping[int, Collection[bytes]], archived: Mapping[int, int], texts: Mapping[bytes, int]
    ) -> tuple[int, ...]:
        """Remove items and return the numbers of the clusters that this changes.

        `items` are ids (16 bytes) by micro-cluster; `archived` is the number of archived items by the number of their
        cluster; `texts` has the fingerprint of each of all these items. A cluster without items is deleted, with its
        constraints. A round under way is given up, because it knows these items.
        """
        state = self._state
        state.seen -= len(texts)
        state.progress.items = max(0, state.progress.items - len(texts))
        state.dirty.progress = True
        state.themes.stale = True
        touched = {state.index.number_of(slot) for slot in items}
        for slot, ids in items.items():
            self._take_out(slot, ids)
        touched |= self._remove_archived(archived)
        emptied = [slot for slot in sorted(items) if not state.index.counts[slot]]
        if emptied:
            state.free(emptied)
        state.progress.give_up_round()
        touched |= self._forget_texts(texts)
        deleted = {number for number in touched if self._is_deleted(number)}
        state.dirty.commands.update(state.constraints.forget(set(emptied), deleted))
        state.retitle(touched)
        return tuple(sorted(touched))

    def _take_out(self, slot: int, ids: Collection[bytes]) -> None:
        """Take items out of a micro-cluster; one that loses all of them is not changed, because it is freed."""
        index = self._state.index
        left = [member for member in index.members(slot) if member[0] not in ids]
        index.set_count(slot, len(left))
        if not left:
            return
        old = index.micro_clusters[slot]
        texts = {text for _, _, text in left}
        new = replace(
            old,
            item_id=min(item_id for item_id, _, _ in left) if old.item_id in ids else old.item_id,
            first=min(time for _, time, _ in left),
            last=max(time for _, time, _ in left),
            fingerprints=(old.fingerprints[0], *(text for text in old.fingerprints[1:] if text in texts)),
            packed_members=pack_members(left),
        )
        index.replace(slot, new)
        self._state.fingerprints.release(slot, old.fingerprints, new.fingerprints)

    def _remove_archived(self, archived: Mapping[int, int]) -> set[int]:
        """Remove archived items, counted by cluster number, and return the clusters that this changes."""
        state = self._state
        for number, count in archived.items():
            state.archive.remove(number, count)
            state.dirty.clusters.add(number)
        if archived:
            state.refresh_archived()
        return {state.clusters.resolve(number) for number in archived}

    def _forget_texts(self, texts: Mapping[bytes, int]) -> set[int]:
        """Take the texts of deleted items from the micro-clusters that show them; return the clusters of those.

        Where another item has the same text, it takes over. A micro-cluster may show the text of an item that has moved
        to another one.
        """
        state = self._state
        changed = set()
        for slot in state.index.slots().tolist():
            old = state.index.micro_clusters[slot]
            if old.text_of not in texts:
                continue
            same = [item_id for item_id, _, text in old.members() if text == texts[old.text_of]]
            if same:
                state.index.replace(slot, replace(old, text_of=min(same)))
                continue
            fingerprints = (0, *old.fingerprints[1:])
            new = replace(old, title="", summary="", fingerprints=fingerprints, text_of=old.item_id)
            if old.template is None:
                new.words = b""
            state.index.replace(slot, new)
            state.fingerprints.reassign(state.fingerprints.release(slot, old.fingerprints, fingerprints))
            changed.add(state.index.number_of(slot))
        return changed

    def _is_deleted(self, number: int) -> bool:
        """Recount a cluster without the deleted items, and return whether nothing is left of it."""
        state = self._state
        state.recount(number)
        cluster = state.clusters[number]
        if not cluster.slots:
            # The title may be that of a deleted item, and archived items have no texts to replace it.
            state.set_title(number, titles.NONE)
        if cluster.is_deleted:
            cluster.given_title = None
            state.dirty.clusters.add(number)
        return cluster.is_deleted
