"""What clustering says happened: the payload of cluster.events.

Some events state how something is now (`ItemAssigned`, `ClusterChanged`, `ProposalsChanged`, `ThemesChanged`,
`ClusteringStatus`, `ClusteringConfigured`); applied twice they change nothing. The others state what happened to the
identity of a cluster (`ClusterMerged`, `ClusterSplit`, `ClusterRestored`), to an item (`ItemRemoved`) or to a command
(`CommandDone`); they stay true.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from soulcaster.domain.assignment import Assignment
from soulcaster.domain.commands import CommandKind, Granularity, PullRequestNews
from soulcaster.domain.lifecycle import Triage

By = Literal["consolidation", "person"]
CommandOutcome = Literal["applied", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class ItemAssigned(Assignment):
    """An item is in this cluster from now on, and in no other; the assignment says why.

    It inherits from `Assignment`, because the JSON on the wire is flat and this event is by far the most frequent: so
    pydantic writes it without code of ours.
    """

    item_id: str
    item_created_at: datetime
    cluster_id: str
    type: Literal["assigned"] = "assigned"


@dataclass(frozen=True, slots=True)
class ItemRemoved:
    """An item was deleted at `at`: it is in no cluster any more, and its id is never used again.

    `cluster_id` is the cluster it was in, None if it was in none. If it was the last item of the cluster, the cluster
    is deleted with all its aliases; otherwise a `ClusterChanged` follows.
    """

    item_id: str
    cluster_id: str | None
    at: datetime
    command_id: str | None = None
    type: Literal["removed"] = "removed"


@dataclass(frozen=True, slots=True)
class ClusterChanged:
    """A cluster as it is now.

    The title is empty if all texts it could be taken from are deleted. `terms` distinguish it from the other clusters,
    best first. `coherence` is the mean cosine similarity of its items to each other, -1 to 1, None for a single item.
    `titled_by` says who set the title; one that a person set never changes automatically. `triage` says whether people
    have muted or resolved it, and whether it has regressed. `theme_id` is the theme that it is in, None for none.
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
    theme_id: str | None = None
    type: Literal["changed"] = "changed"


@dataclass(frozen=True, slots=True)
class ClusterMerged:
    """All items of a cluster are in `into_id` from now on, and the cluster's id is an alias of that."""

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
    """A part of a cluster is a new cluster from now on; the events of its items follow."""

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
    """A merge was undone: an alias is a cluster again; the events of its items follow."""

    cluster_id: str
    reason: str
    at: datetime | None = None
    command_id: str | None = None
    type: Literal["restored"] = "restored"


@dataclass(frozen=True, slots=True)
class ClusterRegressed:
    """A resolved cluster has got newer feedback; `at` is the time of the newest item."""

    cluster_id: str
    reason: str
    at: datetime
    type: Literal["regressed"] = "regressed"


@dataclass(frozen=True, slots=True)
class ClusterReopened:
    """A resolved cluster is open again, because it got newer feedback: what earlier versions made of a regression."""

    cluster_id: str
    reason: str
    at: datetime
    type: Literal["reopened"] = "reopened"


@dataclass(frozen=True, slots=True)
class ClusterPullRequest:
    """Something is new about a pull request for a cluster, at `at`.

    `command_id` is set where that has resolved the cluster: undoing this command takes the resolution back.
    """

    cluster_id: str
    news: PullRequestNews
    reason: str
    url: str
    at: datetime
    command_id: str | None = None
    type: Literal["pull_request"] = "pull_request"


@dataclass(frozen=True, slots=True)
class CommandDone:
    """The outcome of a command: applied, refused with the reason, or waiting until what it names has come.

    `kind` is the kind of the command. `cluster_ids` are the clusters that it changed; their history shows it.
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
    """A change that a person may want: merge two clusters, or split one. `id` follows from what it names."""

    id: str
    kind: Literal["merge", "split"]
    cluster_ids: tuple[str, ...]
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalsChanged:
    """All proposals there are now, likeliest first; they replace the earlier ones."""

    proposals: tuple[Proposal, ...]
    type: Literal["proposals"] = "proposals"


@dataclass(frozen=True, slots=True)
class Theme:
    """A broad group of clusters.

    `terms` distinguish its texts from others, best first; the title is made of them. `why` says, for people, what makes
    it one theme. `items` and `clusters` count what was in it at the event.
    """

    id: str
    title: str
    terms: tuple[str, ...]
    why: str
    items: int
    clusters: int


@dataclass(frozen=True, slots=True)
class ThemesChanged:
    """All themes there are now, the largest first; they replace the earlier ones."""

    themes: tuple[Theme, ...]
    type: Literal["themes"] = "themes"


@dataclass(frozen=True, slots=True)
class ClusteringStatus:
    """The state of a project's clustering.

    `outcome` says what the last round did, for people. `seconds` is what the round took, `moved_share` the share of
    items that it moved, not counting merges, 0 to 1. `groups` counts micro-clusters. `foreign` are the languages that
    the embedder does not know and the numbers of their items, the largest first, archived ones aside.
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
    foreign: tuple[tuple[str, int], ...] = ()
    type: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class ClusteringConfigured:
    """How the project is clustered from now on; `threshold` is an explicit join threshold (None: calibrated)."""

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
    | ClusterRegressed
    | ClusterReopened
    | ClusterPullRequest
    | CommandDone
    | ProposalsChanged
    | ThemesChanged
    | ClusteringStatus
    | ClusteringConfigured
)
