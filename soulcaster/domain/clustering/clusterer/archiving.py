"""Archiving: old micro-clusters give up their slots; their items stay in their clusters."""

import math
from collections.abc import Sequence

from soulcaster.domain.clustering.clusterer.state import ClusterState


class Archiving:
    """Says which micro-clusters have expired, and archives them."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state

    def newest(self) -> float:
        """Return the time of the newest item that is not archived, in epoch seconds; without one, minus infinity."""
        micro_clusters = self._state.index.micro_clusters
        return max((micro_cluster.last for micro_cluster in micro_clusters), default=float("-inf"))

    def expired(self, before: float) -> list[int]:
        """Return the micro-clusters whose newest item is older than `before` (epoch seconds).

        Those that a constraint names or that are in a pinned cluster are never archived. Neither is the newest, so one
        always remains.
        """
        state = self._state
        before = min(before, self.newest())
        old = [slot for slot, mc in enumerate(state.index.micro_clusters) if -math.inf < mc.last < before]
        kept = state.constraints.slots() | state.clusters.pinned().keys() if old else set()
        return [slot for slot in old if slot not in kept]

    def archive(self, slots: Sequence[int]) -> None:
        """Archive micro-clusters; a round under way is given up, because it knows them."""
        state = self._state
        for slot in slots:
            number = state.index.number_of(slot)
            cluster = state.clusters[number]
            cluster.archived += state.count_archived(slot, int(state.index.counts[slot]))
            if cluster.titled_size == 1:  # the item that its title comes from may be archived with it
                state.dirty.titles.add(number)
        state.free(slots)
        state.progress.give_up_round()
