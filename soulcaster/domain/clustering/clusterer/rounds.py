"""Rounds: when one is due, the snapshot it works on, and carrying out what it decided (`identity.decide`)."""

import math
import sys
from collections.abc import Iterable
from uuid import UUID

import numpy as np

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, Moved, ProposedChange
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.consolidation.identity import Decision, Description, Snapshot
from soulcaster.domain.clustering.consolidation.linkage import MergeCandidate, RoundConstraints
from soulcaster.domain.commands import Granularity
from soulcaster.domain.ids import proposal_id_for, split_id_for
from soulcaster.errors import BadInput

FIRST_ROUND_ITEMS = 16
GROWTH = 1.5
"""A round is due when the items, not counting archived ones, have grown by this factor since the last one: all rounds
together cost O(1) an item."""

GROWN_SHARE = 0.02
"""Of the items: when more are new, the next round changes clusters that people see."""

MOST_PROPOSALS = 20
"""Of each kind."""


class Rounds:
    """Says when a round is due, and carries it out."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state
        self._untitled: dict[int, tuple[Description, int]] = {}
        """Clusters whose new titles are still to be set: where these are, and what the cluster is called there."""
        self._last: Description | None = None

    def until_due(self) -> int:
        """Return after how many items a round is due, zero or less where it is; with an explicit threshold, never."""
        state = self._state
        if state.explicit_threshold is not None:
            return sys.maxsize
        last = state.progress.items - state.archive.items
        return max(FIRST_ROUND_ITEMS, math.ceil(GROWTH * last)) - state.live_items

    @property
    def complete(self) -> bool:
        """Return whether the last round left nothing to a later one."""
        return self._state.progress.complete

    def stale(self) -> bool:
        """Return whether a round could change anything: there are items, commands or settings it has not seen."""
        state, progress = self._state, self._state.progress
        new = (state.seen, progress.epoch) != (progress.items, progress.round_epoch)
        return state.explicit_threshold is None and new

    def grown(self) -> bool:
        """Return whether so much is new since the last round that people would see clusters change."""
        new = self._state.seen - self._state.progress.items
        return new > GROWN_SHARE * self._state.seen

    def reconsider(self) -> None:
        """Make the next round look at everything again, because the settings have changed."""
        self._state.progress.new_epoch()
        self._state.dirty.progress = True

    def skip(self) -> None:
        """Wait for the next round, because this one failed."""
        self._state.progress.items = self._state.seen

    def snapshot(self, granularity: Granularity = "auto", *, unbounded: bool = False) -> Snapshot:
        """Return what a round works on; an unbounded round may change as much as it likes."""
        state = self._state
        pinned = state.clusters.pinned()
        # A pinned cluster is a must-link too; its id is below zero, those of commands are above.
        must_link = {**state.constraints.must_link, **{slot: -1 - number for slot, number in pinned.items()}}
        cannot_link = state.constraints.cannot_link
        state.index.track_refreshed()
        index = state.index.snapshot()
        slots = index.slots.tolist()
        position = {slot: at for at, slot in enumerate(slots)} if must_link or cannot_link else {}
        constraints = RoundConstraints(
            {position[slot]: link for slot, link in must_link.items() if slot in position},
            {position[slot]: sides for slot, sides in cannot_link.items() if slot in position},
            frozenset(position[slot] for slot in pinned if slot in position),
            granularity,
        )
        return Snapshot(
            index,
            constraints,
            [state.index.micro_clusters[slot] for slot in slots],
            state.lexicon.copy(),
            [cluster.titled_size - cluster.archived.items for cluster in state.clusters],
            state.seen,
            state.progress.epoch,
            unbounded,
            {n: c.theme_id for n, c in enumerate(state.clusters) if c.theme_id is not None and not c.is_alias},
        )

    def finish(self, snapshot: Snapshot, decision: Decision) -> ClusterChanges | None:
        """Carry out what a round decided; do nothing and return None if a command or another round came in between."""
        changes = self.carry_out(snapshot, decision)
        self.describe()
        return changes

    def carry_out(self, snapshot: Snapshot, decision: Decision) -> ClusterChanges | None:
        """Do what `finish` does, and leave titles and proposals to `describe`, before anyone reads them."""
        state, progress = self._state, self._state.progress
        if snapshot.epoch != progress.epoch or snapshot.seen < progress.items:
            return None
        state.index.adopt(decision.search)
        progress.number += 1
        made = {number: self._split_off(parent, number, decision) for number, parent in decision.parents.items()}
        state.merge(decision.merged)
        state.reassign({move.slot: made.get(move.to, move.to) for move in decision.moves})
        description = decision.description
        for name, size in description.sizes.items():
            number = made.get(name, name)
            state.set_titled_size(number, size)
            self._untitled[number] = description, name
        self._last = description
        self._calibrate(snapshot, decision)
        progress.items, progress.round_epoch, progress.complete = snapshot.seen, progress.epoch, decision.complete
        state.dirty.progress = True
        in_themes = state.themes.adopt(decision.themes, made, state.clusters, progress.number)
        state.dirty.clusters.update(in_themes)
        changed = {*(made.get(name, name) for name in description.sizes), *in_themes}
        return ClusterChanges(
            tuple(Moved(move.slot, move.linkage, move.old_linkage) for move in decision.moves),
            tuple(sorted(decision.merged.items())),
            tuple(made.values()),
            (),
            tuple(sorted(number for number in changed if state.clusters[number].slots)),
            decision.moved_share,
        )

    def describe(self) -> None:
        """Set the titles and proposals of the rounds that were carried out since the last call."""
        state, untitled, last = self._state, self._untitled, self._last
        self._untitled, self._last = {}, None
        for number, (description, name) in untitled.items():
            if not state.clusters[number].is_alias:
                state.set_title(number, description.title(name))
        if last is not None:
            state.proposals = (
                *self._proposed_merges(last.merge_candidates),
                *self._proposed_merges(self._alike_templates()),
                *self._proposed_splits(last),
            )

    def _split_off(self, parent_number: int, number: int, decision: Decision) -> int:
        """Make the new cluster that a decision calls `number`, and return its number."""
        state = self._state
        first = min(move.slot for move in decision.moves if move.to == number)
        parent = state.clusters[parent_number]
        item_id = state.index.micro_clusters[first].item_id.hex()
        cluster_id = split_id_for(parent.id, item_id, f"round {state.progress.number}")
        return state.add_cluster(Cluster(cluster_id, "", "", parent_id=parent.id))

    def _calibrate(self, snapshot: Snapshot, decision: Decision) -> None:
        calibration = self._state.calibration
        calibration.centred_at = snapshot.seen
        # A single micro-cluster does not show how near others have to be.
        if np.count_nonzero(~snapshot.index.foreign) > 1:
            calibration.join_threshold = decision.join.threshold
        calibration.merge_threshold = decision.merge_threshold
        calibration.number += 1

    def _alike_templates(self) -> list[MergeCandidate]:
        """Return clusters of templates that share many words, those that share most first."""
        state = self._state
        numbers = (
            (state.index.number_of(one), state.index.number_of(other), share)
            for one, other, share in state.templates.alike(MOST_PROPOSALS)
        )
        return [
            MergeCandidate(min(one, other), max(one, other), share) for one, other, share in numbers if one != other
        ]

    def _proposed_merges(self, candidates: Iterable[MergeCandidate]) -> list[ProposedChange]:
        """Return merges for people to decide on, likeliest first, except those a cannot-link forbids."""
        state = self._state
        proposed = []
        for pair in candidates:
            one, other = state.clusters[pair.one], state.clusters[pair.other]
            try:
                state.constraints.check_together([*one.slots, *other.slots])
            except BadInput:
                continue
            proposal_id = proposal_id_for("merge", [one.id, other.id])
            proposed.append(ProposedChange(proposal_id, pair.one, pair.other, pair.linkage))
        return proposed[:MOST_PROPOSALS]

    def _proposed_splits(self, description: Description) -> list[ProposedChange]:
        state = self._state
        proposed = []
        for candidate in description.split_candidates[:MOST_PROPOSALS]:
            first = str(UUID(bytes=state.index.micro_clusters[candidate.slots[0]].item_id))
            proposal_id = proposal_id_for("split", [state.clusters[candidate.number].id, first])
            proposed.append(ProposedChange(proposal_id, candidate.number, -1, candidate.linkage, candidate.slots))
        return proposed
