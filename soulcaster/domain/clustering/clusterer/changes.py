"""What the clusterer says it has done. Micro-clusters are slots, clusters are numbers."""

from dataclasses import dataclass

from soulcaster.domain.assignment import Change, Rule
from soulcaster.domain.feedback.items import ComparedItem


@dataclass(frozen=True, slots=True)
class Placement:
    """The micro-cluster an item joined, and why.

    `runner_up` is the nearest micro-cluster of the second-best cluster, if there is one; `fingerprint` is that of the
    item's text; `template` is that of a machine's text.
    """

    item: ComparedItem
    slot: int
    change: Change
    rule: Rule
    score: float
    threshold: float
    runner_up: int | None
    runner_up_score: float | None
    fingerprint: int
    template: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A micro-cluster that is now in another cluster, with its linkage there and where it was."""

    slot: int
    score: float
    old_score: float


@dataclass(frozen=True, slots=True)
class ClusterChanges:
    """What a round or a command did to clusters.

    `merged` has pairs of a new alias and the cluster it resolves to; `restored` are aliases that are clusters again;
    `moved_share` is the share of items whose cluster changed, from 0 to 1.
    """

    moved: tuple[Moved, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    split: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    moved_share: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundFailed:
    """A round that could not be computed, and why."""

    reason: str


AddOutcome = list[Placement] | ClusterChanges | RoundFailed
"""What one part of `Clusterer.add` did: it placed items, or carried out a round, or failed to."""


@dataclass(frozen=True, slots=True)
class ProposedChange:
    """Two clusters that a person may merge; or, where `slots` is not empty, a cluster they may be split off."""

    id: str
    one: int
    other: int
    linkage: float
    slots: tuple[int, ...] = ()
