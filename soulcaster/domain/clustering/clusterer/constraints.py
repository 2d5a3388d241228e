"""What people decided about clusters, kept as constraints on micro-clusters.

A merge or a move leaves a must-link: these micro-clusters stay in one cluster. A split or a move leaves a cannot-link:
micro-clusters on its two sides never share a cluster. (The terms are those of Wagstaff et al., *Constrained K-means
Clustering*, ICML 2001.) A micro-cluster that a later command splits off or moves leaves its earlier must-link; a
cannot-link holds until its command is undone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from soulcaster.domain.clustering.consolidation.linkage import Sides
from soulcaster.domain.lifecycle import Triage
from soulcaster.errors import BadInput

TRIAGE: Mapping[str, Triage] = {"mute": "muted", "resolve": "resolved", "reopen": "open"}
"""The triage of a cluster after a command of these kinds."""


class Constraint(msgspec.Struct, array_like=True):
    """What one command left behind, and how to take it back. Micro-clusters are slots, clusters are numbers.

    `must_link` stay together; `one_side` and `other_side` stay apart. `before` has the cluster each changed
    micro-cluster was in; `merged` are the clusters that became aliases; `title`, `pinned`, `triage` and `resolved_at`
    are what the cluster had before.
    """

    command_id: str
    kind: str
    order: int
    must_link: list[int] = []
    one_side: list[int] = []
    other_side: list[int] = []
    before: dict[int, int] = {}
    merged: list[int] = []
    cluster: int = -1
    title: str | None = None
    pinned: bool = False
    triage: Triage = "open"
    resolved_at: float = 0.0

    @property
    def is_about_cluster(self) -> bool:
        """Return whether it is about the cluster itself and does not restrict which micro-clusters it has."""
        return self.kind in {"rename", "pin", *TRIAGE}

    def slots(self) -> set[int]:
        """Return all micro-clusters it names."""
        return {slot for named in (self.must_link, self.one_side, self.other_side, self.before) for slot in named}


class Constraints:
    """All constraints in force, and what follows from them for each micro-cluster.

    `must_link` maps a slot to a link id, shared by all that stay together; `cannot_link` maps a slot to its side (0 or
    1) of each separation.
    """

    def __init__(self, constraints: Iterable[Constraint] = ()) -> None:
        """Take over constraints; they apply in their order."""
        self.by_command = {c.command_id: c for c in sorted(constraints, key=lambda c: c.order)}
        self._derive()

    def add(self, constraint: Constraint) -> None:
        """Add a constraint."""
        self.by_command[constraint.command_id] = constraint
        self._derive()

    def without(self, command_id: str) -> "Constraints":
        """Return the constraints without that of a command."""
        return Constraints(c for c in self.by_command.values() if c.command_id != command_id)

    def next_order(self) -> int:
        """Return a number above the order of every constraint."""
        return max((c.order for c in self.by_command.values()), default=0) + 1

    def slots(self) -> set[int]:
        """Return all micro-clusters that a constraint names."""
        return {slot for c in self.by_command.values() for slot in c.slots()}

    def forget(self, slots: Collection[int], numbers: Collection[int]) -> list[str]:
        """Forget micro-clusters and clusters that no longer exist; return the commands whose constraint has changed.

        A constraint that names no other is removed.
        """
        changed = []
        for c in list(self.by_command.values()):
            concerned = c.cluster in numbers if c.is_about_cluster else not c.slots().isdisjoint(slots)
            if not concerned:
                continue
            for named in (c.must_link, c.one_side, c.other_side):
                named[:] = [slot for slot in named if slot not in slots]
            c.before = {slot: number for slot, number in c.before.items() if slot not in slots}
            if not c.slots():
                del self.by_command[c.command_id]
            changed.append(c.command_id)
        self._derive()
        return changed

    def inherit(self, divided: Mapping[int, int]) -> list[Constraint]:
        """Name new micro-clusters (key) wherever the one they were divided from (value) is named; return what changed.

        Both lists and `before` are extended.
        """
        changed = {}
        for c in self.by_command.values():
            for new, old in divided.items():
                for named in (c.must_link, c.one_side, c.other_side):
                    if old in named:
                        named.append(new)
                        changed[c.command_id] = c
                if old in c.before:
                    c.before[new] = c.before[old]
        self._derive()
        return list(changed.values())

    def check_together(self, slots: Sequence[int]) -> None:
        """Return if these micro-clusters may share a cluster.

        Raises:
            BadInput: a person separated some of them; the message names the command.
        """
        sides: dict[int, int] = {}
        for slot in slots:
            for order, side in self.cannot_link.get(slot, {}).items():
                if sides.setdefault(order, side) != side:
                    command = next(c.command_id for c in self.by_command.values() if c.order == order)
                    raise BadInput(f"a person has put these apart (command {command}); undo that first")

    def apart(self, slots: Collection[int]) -> list[int]:
        """Return the micro-clusters that a person has separated from any of these."""
        sides = {side for slot in slots for side in self.cannot_link.get(slot, {}).items()}
        return [
            slot
            for slot, of in self.cannot_link.items()
            if any((order, 1 - side) in sides for order, side in of.items())
        ]

    def _derive(self) -> None:
        must_link: dict[int, int] = {}
        cannot_link: dict[int, dict[int, int]] = {}
        for c in self.by_command.values():
            for slot in c.one_side:
                must_link.pop(slot, None)
            # Links that share a micro-cluster with this one become one with it.
            met = {must_link[slot] for slot in c.must_link if slot in must_link}
            for slot, link in must_link.items():
                if link in met:
                    must_link[slot] = c.order
            must_link.update(dict.fromkeys(c.must_link, c.order))
            for side, slots in enumerate((c.one_side, c.other_side)):
                for slot in slots:
                    cannot_link.setdefault(slot, {})[c.order] = side
        self.must_link: Mapping[int, int] = must_link
        self.cannot_link: Mapping[int, Sides] = cannot_link
