"""What people ask of clusters, and what comes of it; a command's `id` makes a second delivery harmless."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Granularity = Literal["finer", "fine", "auto", "broad", "broader"]

CommandKind = Literal[
    "start_fix",
    "merge",
    "split",
    "move",
    "rename",
    "pin",
    "mute",
    "resolve",
    "reopen",
    "undo",
    "rebalance",
    "cleanup",
    "reset",
    "configure",
    "round_finished",
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What every command says: its id, who asked, and when."""

    id: str
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class StartFix(Asked):
    """Send a coding agent for a cluster."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class Merge(Asked):
    """These clusters are one, for good; it keeps the id of `cluster_id`."""

    cluster_id: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split(Asked):
    """These items of a cluster are a cluster of their own, and what stays never joins it."""

    cluster_id: str
    items: tuple[str, ...]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Move(Asked):
    """These items belong to `into`, and not to the clusters they are in."""

    items: tuple[str, ...]
    into: str


@dataclass(frozen=True, slots=True)
class Rename(Asked):
    """A cluster's title, for good; None gives it back to the machine."""

    cluster_id: str
    title: str | None


@dataclass(frozen=True, slots=True)
class Pin(Asked):
    """Consolidation leaves this cluster as it is (new items may join it), or, unpinned, may change it again."""

    cluster_id: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class Mute(Asked):
    """Nobody wants to hear of this cluster, whatever comes to it, until it is reopened."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class Resolve(Asked):
    """This cluster is done with; feedback that is newer opens it again."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class Reopen(Asked):
    """This cluster is neither muted nor resolved any more."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class Undo(Asked):
    """Take back a merge, split, move, rename, pin, mute, resolve or reopen."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Rebalance(Asked):
    """Consolidate now."""


@dataclass(frozen=True, slots=True)
class Cleanup(Asked):
    """Apply these proposals, and no other."""

    proposals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reset(Asked):
    """Cluster everything anew; clusters that are the same in substance keep their ids, and people's word holds."""


@dataclass(frozen=True, slots=True)
class Configure(Asked):
    """How a project is clustered: `threshold` is an explicit cosine (None: calibrated), `granularity` moves the cut."""

    threshold: float | None = None
    granularity: Granularity = "auto"


@dataclass(frozen=True, slots=True)
class RoundFinished(Asked):
    """A round has decided; carry it out. The program tells itself, so that the project's single writer hears it."""


ClusteringCommand = (
    Merge | Split | Move | Rename | Pin | Mute | Resolve | Reopen | Undo | Rebalance | Cleanup | Reset | Configure
)
Command = StartFix | ClusteringCommand


@dataclass(frozen=True, slots=True)
class Fix:
    """A job that is to be launched, once, for a cluster."""

    job_id: str
    cluster_id: str
    cluster_title: str
    requested_by: str
    requested_at: datetime
