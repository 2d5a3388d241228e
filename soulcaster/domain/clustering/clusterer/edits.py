"""People's commands: merge, split, move, rename, pin and triage. Each leaves a constraint that an undo takes back."""

from bisect import insort
from collections.abc import Mapping, Sequence

from soulcaster.domain.clustering.clusterer.changes import ClusterChanges, Moved
from soulcaster.domain.clustering.clusterer.clusters import Cluster
from soulcaster.domain.clustering.clusterer.constraints import TRIAGE, Constraint
from soulcaster.domain.clustering.clusterer.state import ClusterState
from soulcaster.domain.clustering.micro_clusters.micro_cluster import MicroCluster, pack_members
from soulcaster.domain.commands import Merge, Move, Mute, NotePullRequest, Pin, Rename, Reopen, Resolve, Split
from soulcaster.domain.ids import split_id_for
from soulcaster.errors import BadInput


class Edits:
    """Carries out commands."""

    def __init__(self, state: ClusterState) -> None:
        """Work on this state."""
        self._state = state

    # ---- what belongs together -----------------------------------------------------------------------------------

    def merge(self, command: Merge) -> ClusterChanges:
        """Merge clusters.

        Raises:
            BadInput: a person separated some of them, they are one already, or all items of one are archived.
        """
        state = self._state
        into = self._find(command.cluster_id)
        others = sorted({self._find(other) for other in command.cluster_ids} - {into})
        if not others:
            raise BadInput("these are one cluster already")
        for number in (into, *others):
            self._check_live(number)
        slots = [slot for number in (into, *others) for slot in state.clusters[number].slots]
        state.constraints.check_together(slots)
        constraint = self._constraint(
            command.id,
            "merge",
            into,
            must_link=slots,
            before={slot: state.index.number_of(slot) for slot in slots},
            merged=others,
            title=state.clusters[into].given_title,
            pinned=state.clusters[into].pinned,
        )
        fates = dict.fromkeys(others, into)
        state.merge(fates)
        return self._done(constraint, ClusterChanges(merged=tuple(fates.items()), changed=(into,)))

    def split(self, command: Split, items: Mapping[int, Sequence[bytes]]) -> ClusterChanges:
        """Make a cluster of some items of another; `items` are their ids (16 bytes) by micro-cluster.

        Raises:
            BadInput: some are not in this cluster, or the cluster has no others.
        """
        state = self._state
        number = self._find(command.cluster_id)
        parent = state.clusters[number]
        if any(state.index.number_of(slot) != number for slot in items):
            raise BadInput("some of these items are not in this cluster")
        if sum(len(set(ids)) for ids in items.values()) >= parent.size:
            raise BadInput("these are all items of the cluster; nothing would stay")
        one_side = self._divide(items)
        other_side = [slot for slot in parent.slots if slot not in set(one_side)]
        first = state.index.micro_clusters[one_side[0]]
        cluster_id = split_id_for(parent.id, first.item_id.hex(), command.id)
        new = state.add_cluster(
            Cluster(
                cluster_id,
                first.title,
                first.summary,
                given_title=command.title,
                parent_id=parent.id,
                theme_id=parent.theme_id,
            )
        )
        state.reassign(dict.fromkeys(one_side, new))
        constraint = self._constraint(
            command.id,
            "split",
            new,
            must_link=one_side,
            one_side=one_side,
            other_side=other_side,
            before=dict.fromkeys(one_side, number),
        )
        changes = ClusterChanges(moved=_moved(one_side), split=(new,), changed=(number, new))
        return self._done(constraint, changes)

    def move(self, command: Move, items: Mapping[int, Sequence[bytes]]) -> ClusterChanges:
        """Move items into a cluster; `items` are their ids (16 bytes) by micro-cluster.

        Raises:
            BadInput: they are in it already, a person separated them from what is in it, or all of that is archived.
        """
        state = self._state
        into = self._find(command.cluster_id)
        self._check_live(into)
        items = {slot: ids for slot, ids in items.items() if state.index.number_of(slot) != into}
        if not items:
            raise BadInput("these items are in this cluster already")
        state.constraints.check_together([*items, *state.clusters[into].slots])
        one_side = self._divide(items)
        before = {slot: state.index.number_of(slot) for slot in one_side}
        sources = sorted(set(before.values()))
        other_side = [slot for number in sources for slot in state.clusters[number].slots if slot not in before]
        anchor = max(state.clusters[into].slots, key=lambda slot: (state.index.counts[slot], -slot))
        emptied = [
            number
            for number in sources
            if before.keys() >= set(state.clusters[number].slots) and not state.clusters[number].archived
        ]
        constraint = self._constraint(
            command.id,
            "move",
            into,
            must_link=[*one_side, anchor],
            one_side=one_side,
            other_side=other_side,
            before=before,
            merged=emptied,
        )
        state.reassign(dict.fromkeys(one_side, into))
        for number in emptied:
            state.clusters[number].merged_into = into
        changed = (into, *(number for number in sources if number not in emptied))
        merged = tuple((number, into) for number in emptied)
        return self._done(constraint, ClusterChanges(moved=_moved(one_side), merged=merged, changed=changed))

    # ---- the cluster itself --------------------------------------------------------------------------------------

    def rename(self, command: Rename) -> ClusterChanges:
        """Give a cluster a title, or the automatic one again."""
        number = self._find(command.cluster_id)
        cluster = self._state.clusters[number]
        constraint = self._constraint(command.id, "rename", number, title=cluster.given_title)
        cluster.given_title = command.title
        return self._cluster_done(constraint)

    def pin(self, command: Pin) -> ClusterChanges:
        """Pin or unpin a cluster."""
        number = self._find(command.cluster_id)
        cluster = self._state.clusters[number]
        constraint = self._constraint(command.id, "pin", number, pinned=cluster.pinned)
        cluster.pinned = command.pinned
        return self._cluster_done(constraint)

    def triage(self, command: Mute | Resolve | Reopen) -> ClusterChanges:
        """Mute, resolve or reopen a cluster; items it has by now do not reopen it, whatever their time."""
        number = self._find(command.cluster_id)
        cluster = self._state.clusters[number]
        constraint = self._constraint(
            command.id, command.type, number, triage=cluster.triage, resolved_at=cluster.resolved_at
        )
        cluster.triage = TRIAGE[command.type]
        cluster.resolved_at = max(command.requested_at.timestamp(), cluster.last)
        return self._cluster_done(constraint)

    def resolve_by(self, command: NotePullRequest) -> ClusterChanges:
        """Resolve a cluster as of when a pull request was merged or released; one that is muted or resolved stays so.

        What was newer by then makes the cluster regressed, although it has it already.
        """
        number = self._find(command.cluster_id)
        cluster = self._state.clusters[number]
        if cluster.triage in ("muted", "resolved"):
            return ClusterChanges()
        constraint = self._constraint(
            command.id, "resolve", number, triage=cluster.triage, resolved_at=cluster.resolved_at
        )
        cluster.triage = "resolved"
        cluster.resolved_at = min(command.happened_at, command.requested_at).timestamp()
        return self._cluster_done(constraint)

    # ---- shared parts --------------------------------------------------------------------------------------------

    def _find(self, cluster_id: str) -> int:
        number = self._state.clusters.find(cluster_id)
        if number is None:
            raise BadInput(f"there is no cluster {cluster_id}")
        if self._state.clusters[number].is_deleted:
            raise BadInput(f"all items of cluster {cluster_id} were deleted; it is gone")
        return number

    def _check_live(self, number: int) -> None:
        cluster = self._state.clusters[number]
        if not cluster.slots:
            raise BadInput(f"all items of cluster {cluster.id} are archived; it stays as it is")

    def _constraint(self, command_id: str, kind: str, number: int, **parts: object) -> Constraint:
        order = self._state.constraints.next_order()
        return Constraint(command_id, kind, order, cluster=number, **parts)  # type: ignore[arg-type]

    def _done(self, constraint: Constraint, changes: ClusterChanges) -> ClusterChanges:
        self._state.constrain(constraint)
        self._state.retitle(changes.changed)
        return changes

    def _cluster_done(self, constraint: Constraint) -> ClusterChanges:
        self._state.dirty.clusters.add(constraint.cluster)
        self._state.constrain(constraint)
        return ClusterChanges(changed=(constraint.cluster,))

    def _divide(self, items: Mapping[int, Sequence[bytes]]) -> list[int]:
        """Return micro-clusters that have exactly these items; one that has others as well is divided.

        Vectors of single items are not kept, so both parts have the mean of all, which all were near to. Items with the
        same text as one that leaves follow it later.
        """
        state = self._state
        whole: list[int] = []
        divided: dict[int, int] = {}
        for slot, ids in sorted(items.items()):
            wanted = set(ids)
            members = state.index.members(slot)
            leaving = sorted(member for member in members if member[0] in wanted)
            if len(leaving) == len(members):
                whole.append(slot)
                continue
            old = state.index.micro_clusters[slot]
            staying = [member for member in members if member[0] not in wanted]
            texts = tuple(sorted({text for _, _, text in leaving} - {text for _, _, text in staying}))
            new = state.index.divide(
                slot,
                MicroCluster(
                    leaving[0][0],
                    old.title,
                    old.summary,
                    old.sources,
                    min(time for _, time, _ in leaving),
                    max(time for _, time, _ in leaving),
                    (0, *texts),
                    pack_members(leaving),
                    old.text_of,
                    None if old.template is None else (),
                    old.language,
                    old.words,
                ),
                len(leaving),
            )
            old.packed_members = pack_members(staying)
            old.fingerprints = (old.fingerprints[0], *(text for text in old.fingerprints[1:] if text not in texts))
            state.fingerprints.redirect(texts, new)
            insort(state.cluster_at(slot).slots, new)
            divided[new] = slot
        for constraint in state.constraints.inherit(divided):
            state.dirty.commands.add(constraint.command_id)
        return sorted([*whole, *divided])


def _moved(slots: Sequence[int]) -> tuple[Moved, ...]:
    """Return moves that a person asked for, which no linkage decided."""
    return tuple(Moved(slot, 1.0, 1.0) for slot in slots)
