"""What clustering says happened: the payload of cluster.events.

What stands is told in absolute terms (`ItemAssigned`, `ClusterChanged`, `ProposalsChanged`, `ClusteringStatus`), so
that an event applied twice changes nothing; what happened to a cluster's identity (`ClusterMerged`, `ClusterSplit`),
that an item is gone (`ItemRemoved`) and what became of a command (`CommandDone`) is told once and holds for good.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from soulcaster.domain.assignment import Assignment
from soulcaster.domain.commands import CommandKind, Granularity
from soulcaster.domain.lifecycle import Triage

By = Literal["consolidation", "person"]
CommandOutcome = Literal["applied", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class ItemAssigned(Assignment):
    """An item is in this cluster from now on, and in no other; the assignment says why.

    It is an `Assignment` rather than having one: the JSON on the wire is flat, and of all events this one is by far the
    most frequent, so pydantic's serializer writes it without any code of ours.
    """

    item_id: str
    item_created_at: datetime
    cluster_id: str
    type: Literal["assigned"] = "assigned"


@dataclass(frozen=True, slots=True)
class ItemRemoved:
    """An item was deleted at `at`: it is in no cluster any more, and its id is never used again.

    `cluster_id` is the cluster it was in, None where it was in none. One whose last item it was is gone with it, and so
    are the names of what was merged into that; of one that stands its own event follows.
    """

    item_id: str
    cluster_id: str | None
    at: datetime
    command_id: str | None = None
    type: Literal["removed"] = "removed"


@dataclass(frozen=True, slots=True)
class ClusterChanged:
    """A cluster as it stands now.

    The title is empty where all texts that it could be taken from were deleted. `terms` tell it from the other
    clusters, best first; `coherence` is the mean cosine of its items to one another, -1 to 1, None where there is a
    single one. `titled_by` says who gave the title: what a person gave, no machine changes.
    `triage` says whether people have muted or resolved it.
    """

    cluster_id: str
    title: str
    summary: str
    size: int
    sources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    terms: tuple[str, ...] = ()
    coherence: float | None = None
    titled_by: Literal["machine", "person"] = "machine"
    pinned: bool = False
    parent_id: str | None = None
    triage: Triage = "open"
    type: Literal["changed"] = "changed"


@dataclass(frozen=True, slots=True)
class ClusterMerged:
    """All items of a cluster are another's from now on, and its id is another name of that one."""

    cluster_id: str
    into_id: str
    by: By
    reason: str
    round: int
    at: datetime | None = None
    command_id: str | None = None
    type: Literal["merged"] = "merged"


@dataclass(frozen=True, slots=True)
class ClusterSplit:
    """A new cluster was made of a part of another; its items' own events follow."""

    cluster_id: str
    parent_id: str
    by: By
    reason: str
    round: int
    at: datetime | None = None
    command_id: str | None = None
    type: Literal["split"] = "split"


@dataclass(frozen=True, slots=True)
class ClusterRestored:
    """A merge was undone: the id stands for a cluster of its own again; its items' own events follow."""

    cluster_id: str
    reason: str
    at: datetime | None = None
    command_id: str | None = None
    type: Literal["restored"] = "restored"


@dataclass(frozen=True, slots=True)
class ClusterReopened:
    """A cluster that was resolved is open again, for it got feedback that is newer, the newest of it of `at`."""

    cluster_id: str
    reason: str
    at: datetime
    type: Literal["reopened"] = "reopened"


@dataclass(frozen=True, slots=True)
class CommandDone:
    """What became of a command: done, refused with the reason, or waiting for what it names to appear.

    `kind` is the command's, `cluster_ids` the clusters it was about: their history shows it.
    """

    command_id: str
    outcome: CommandOutcome
    reason: str
    at: datetime
    kind: CommandKind | None = None
    cluster_ids: tuple[str, ...] = ()
    type: Literal["command"] = "command"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person may want to do: merge two clusters, or split one; `id` derives from what it names."""

    id: str
    kind: Literal["merge", "split"]
    cluster_ids: tuple[str, ...]
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalsChanged:
    """All proposals that stand, the likeliest first; those of before are gone."""

    proposals: tuple[Proposal, ...]
    type: Literal["proposals"] = "proposals"


@dataclass(frozen=True, slots=True)
class ClusteringStatus:
    """How a project's clustering stands.

    `moved_share` is the share of items that changed cluster in the last round, merges aside, `seconds` what it took.
    """

    state: Literal["idle", "pending", "running"]
    round: int
    outcome: str
    at: datetime
    seconds: float
    items: int
    groups: int
    clusters: int
    moved_share: float
    threshold: float
    calibration: int
    type: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class ClusteringConfigured:
    """How the project is clustered from now on: `threshold` is an explicit cosine (None: calibrated)."""

    threshold: float | None
    granularity: Granularity
    at: datetime
    command_id: str
    type: Literal["configured"] = "configured"


ClusterEvent = (
    ItemAssigned
    | ItemRemoved
    | ClusterChanged
    | ClusterMerged
    | ClusterSplit
    | ClusterRestored
    | ClusterReopened
    | CommandDone
    | ProposalsChanged
    | ClusteringStatus
    | ClusteringConfigured
)
