"""Undo: taking a command back, with what followed from it."""

from collections.abc import Collection, Sequence

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, Moved
from soulcaster.domain.clustering.clusterer.constraints import TRIAGE, Constraint, Constraints
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.commands import Undo
from soulcaster.errors import BadInput


class Undoing:
    """Takes commands back."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state

    def check(self, command_ids: Sequence[str]) -> None:
        """Return if no later command builds on these, except one of these.

        Raises:
            BadInput: there is one; the message names it.
        """
        by_command = self._state.constraints.by_command
        for undone in (by_command[command_id] for command_id in command_ids):
            for later in _later(self._state.constraints, undone):
                if later.command_id not in command_ids and _builds_on(later, undone):
                    raise BadInput(f"command {later.command_id} came after it and builds on it; undo that first")

    def undo(self, command: Undo) -> ClusterChanges:
        """Take a command back; micro-clusters return to where they were, if they are still where it has put them.

        Raises:
            BadInput: there is no such command, or a later one builds on it.
        """
        state = self._state
        undone = state.constraints.by_command.get(command.command_id)
        if undone is None:
            raise BadInput(f"no command {command.command_id} stands that could be undone")
        if undone.is_about_cluster:
            self._give_back(undone)
            self._remove(undone)
            return ClusterChanges(changed=(undone.cluster,) if not state.clusters[undone.cluster].is_alias else ())
        self.check([command.command_id])
        return self._take_apart(undone)

    def _take_apart(self, undone: Constraint) -> ClusterChanges:
        """Undo a merge, a split or a move."""
        state = self._state
        restored, back = self._way_back(undone)
        for number in restored:
            state.clusters[number].merged_into = None
        left = {state.index.number_of(slot) for slot in back}
        differs = state.refresh_archived()
        state.reassign(back)
        for number in differs:
            state.recount(number)
        self._remove(undone)
        merged = self._merge_emptied(left, back.values())
        changed = {number for number in (*left, *differs) if not state.clusters[number].is_alias} | set(back.values())
        if undone.kind == "merge" and not state.clusters[undone.cluster].is_alias:
            self._give_back(undone)
            changed.add(undone.cluster)
        state.retitle(changed)
        moved = tuple(Moved(slot, 1.0, 1.0) for slot in back)
        return ClusterChanges(moved, tuple(merged), (), restored, tuple(sorted(changed)))

    def _way_back(self, undone: Constraint) -> tuple[tuple[int, ...], dict[int, int]]:
        """Return the aliases that become clusters again, and where micro-clusters return to.

        They return to the cluster they came from, or to the one it has been merged into since; but those with a
        must-link follow that, wherever a round has put it.

        Raises:
            BadInput: a person separated them from what is there now.
        """
        state = self._state
        rest = state.constraints.without(undone.command_id)
        linked = {link: slot for slot, link in rest.must_link.items() if slot not in undone.before}
        back: dict[int, int] = {}
        for slot, number in undone.before.items():
            peer = linked.get(rest.must_link.get(slot, -1))
            into = number if number in undone.merged else state.clusters.resolve(number)
            back[slot] = into if peer is None else state.index.number_of(peer)
        for number in set(back.values()):
            stay = [slot for slot in state.clusters[number].slots if slot not in back]
            rest.check_together([*stay, *(slot for slot, to in back.items() if to == number)])
        restored = tuple(number for number in undone.merged if number in back.values())
        return restored, {slot: to for slot, to in back.items() if state.index.number_of(slot) != to}

    def _merge_emptied(self, left: Collection[int], destinations: Collection[int]) -> list[tuple[int, int]]:
        """Merge clusters that nothing is left in into the first destination; return pairs of both."""
        merged = []
        for number in left:
            cluster = self._state.clusters[number]
            if not cluster.slots and not cluster.archived:
                into = next(iter(destinations))
                cluster.merged_into = into
                merged.append((number, into))
        return merged

    def _give_back(self, undone: Constraint) -> None:
        """Give a cluster the title, pin or triage it had before a command, unless a later command has set them.

        Then the later command remembers it as what was there before.
        """
        state = self._state
        later = _later(state.constraints, undone)
        state.dirty.clusters.add(undone.cluster)
        if undone.kind in TRIAGE:
            self._give_triage_back(undone, later)
            return
        cluster = state.clusters[undone.cluster]
        for kind in ("rename", "pin") if undone.kind == "merge" else (undone.kind,):
            after = next((c for c in later if c.kind in (kind, "merge") and c.cluster == undone.cluster), None)
            if after is not None:
                state.dirty.commands.add(after.command_id)
            if kind == "pin":
                (after or cluster).pinned = undone.pinned
            elif after is None:
                cluster.given_title = undone.title
            else:
                after.title = undone.title

    def _give_triage_back(self, undone: Constraint, later: Sequence[Constraint]) -> None:
        cluster = self._state.clusters[undone.cluster]
        after = next((c for c in later if c.kind in TRIAGE and c.cluster == undone.cluster), None)
        if after is None:
            cluster.triage, cluster.resolved_at = undone.triage, max(undone.resolved_at, cluster.last)
        else:
            after.triage, after.resolved_at = undone.triage, undone.resolved_at
            self._state.dirty.commands.add(after.command_id)

    def _remove(self, undone: Constraint) -> None:
        state = self._state
        state.constraints = state.constraints.without(undone.command_id)
        state.dirty.commands.add(undone.command_id)
        state.progress.new_epoch()


def _later(constraints: Constraints, than: Constraint) -> list[Constraint]:
    """Return the constraints of later commands, in order."""
    return [c for c in constraints.by_command.values() if c.order > than.order]


def _builds_on(later: Constraint, earlier: Constraint) -> bool:
    """Return whether a later command names what an earlier one has put where it is."""
    named = {*later.must_link, *later.one_side, *later.other_side}
    return not later.is_about_cluster and not named.isdisjoint({*earlier.must_link, *earlier.one_side})
