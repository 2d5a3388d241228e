"""What people ask of clusters. A command's `id` makes a second delivery harmless.

A new kind of command is one dataclass here, in the union `Command` and by name in `CommandKind`, and its handler in
`domain/clustering/project/command_handlers.py`; people reach it through a route in `web/api/commands`. Kafka, the rows
and the commands that wait follow from the dataclass: its fields have the names and the limits of the JSON on
cluster.commands. The limits are checked where a command comes in (`wire/cluster_commands.py`), not when one is made.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from annotated_types import Interval
from pydantic import StringConstraints

from soulcaster.domain.entries import Entries
from soulcaster.domain.fixes.fix import DEFAULT_OPTIONS, FixOptions, StopPoint
from soulcaster.domain.fixes.limits import FixLimits
from soulcaster.domain.ids import ShortId
from soulcaster.domain.text.given import OneLine

Granularity = Literal["finer", "fine", "auto", "broad", "broader"]

CommandKind = Literal[
    "start_fix",
    "approve_fix",
    "merge",
    "split",
    "move",
    "rename",
    "pin",
    "mute",
    "resolve",
    "reopen",
    "note_pull_request",
    "undo",
    "rebalance",
    "cleanup",
    "reset",
    "configure",
    "round_finished",
]

PullRequestNews = Literal["opened", "reopened", "merged", "released", "closed"]
"""What may be new about a pull request; `closed` is without a merge."""

MAX_IDS = 1000
"""Ids that a command may name at once."""

MAX_TITLE_CHARS = 200
"""Characters of a title that a person gives."""

Ids = Annotated[tuple[ShortId, ...], Entries(MAX_IDS, least=1)]

Title = Annotated[str, OneLine(MAX_TITLE_CHARS)]

Threshold = Annotated[float, Interval(ge=0, le=1)]
"""A cosine similarity."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What every command has: its id, who asked, and when."""

    id: ShortId
    requested_by: Annotated[str, StringConstraints(max_length=200)]
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class StartFix(Asked):
    """Send a coding agent to work on a cluster, if the limits of the project (None: there are none) allow one more job.

    If it is not `approved`, the job waits until a person approves it.
    """

    cluster_id: ShortId
    options: FixOptions = DEFAULT_OPTIONS
    limits: FixLimits | None = None
    approved: bool = True
    type: Literal["start_fix"] = "start_fix"


@dataclass(frozen=True, slots=True)
class ApproveFix(Asked):
    """Let a job that waits for approval start; `stop_at` is how far it goes."""

    job_id: ShortId
    stop_at: StopPoint = "pr"
    type: Literal["approve_fix"] = "approve_fix"


@dataclass(frozen=True, slots=True)
class Merge(Asked):
    """Merge `cluster_ids` into `cluster_id`, permanently."""

    cluster_id: ShortId
    cluster_ids: Ids
    type: Literal["merge"] = "merge"


@dataclass(frozen=True, slots=True)
class Split(Asked):
    """Make a new cluster of these items of a cluster. What stays never joins it again."""

    cluster_id: ShortId
    item_ids: Ids
    title: Title | None = None
    type: Literal["split"] = "split"


@dataclass(frozen=True, slots=True)
class Move(Asked):
    """Put items into `cluster_id`, out of the clusters they are in."""

    item_ids: Ids
    cluster_id: ShortId
    type: Literal["move"] = "move"


@dataclass(frozen=True, slots=True)
class Rename(Asked):
    """Set a cluster's title, permanently; None gives it an automatic one again."""

    cluster_id: ShortId
    title: Title | None = None
    type: Literal["rename"] = "rename"


@dataclass(frozen=True, slots=True)
class Pin(Asked):
    """Keep consolidation from changing a cluster, which new items may still join; or, unpinned, allow it again."""

    cluster_id: ShortId
    pinned: bool
    type: Literal["pin"] = "pin"


@dataclass(frozen=True, slots=True)
class Mute(Asked):
    """Stop mentioning a cluster, whatever feedback it gets, until it is reopened."""

    cluster_id: ShortId
    type: Literal["mute"] = "mute"


@dataclass(frozen=True, slots=True)
class Resolve(Asked):
    """Mark a cluster as done; newer feedback makes it regressed."""

    cluster_id: ShortId
    type: Literal["resolve"] = "resolve"


@dataclass(frozen=True, slots=True)
class Reopen(Asked):
    """Mark a cluster as neither muted nor resolved nor regressed."""

    cluster_id: ShortId
    type: Literal["reopen"] = "reopen"


@dataclass(frozen=True, slots=True)
class NotePullRequest(Asked):
    """Note in the history of a cluster what is new about a pull request for it, and resolve the cluster if that does.

    Items from after `happened_at` then make the cluster regressed; a muted cluster stays muted. `pull_request` is
    "owner/name#12". Programs that look at the code host ask for it, people do not.
    """

    cluster_id: ShortId
    pull_request: Annotated[str, StringConstraints(max_length=200)]
    pr_url: Annotated[str, StringConstraints(max_length=2_000)]
    news: PullRequestNews
    happened_at: datetime
    resolves: bool
    type: Literal["note_pull_request"] = "note_pull_request"


@dataclass(frozen=True, slots=True)
class Undo(Asked):
    """Take back a merge, split, move, rename, pin, mute, resolve or reopen, or a cleanup with all its parts.

    `cluster_id` is the cluster on whose page or route it was asked; nothing depends on it.
    """

    command_id: ShortId
    cluster_id: ShortId | None = field(default=None, compare=False)
    type: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Rebalance(Asked):
    """Consolidate now."""

    type: Literal["rebalance"] = "rebalance"


@dataclass(frozen=True, slots=True)
class Cleanup(Asked):
    """Apply these proposals, and no others."""

    proposal_ids: Ids
    type: Literal["cleanup"] = "cleanup"


@dataclass(frozen=True, slots=True)
class Reset(Asked):
    """Cluster everything again. A cluster that stays the same in substance keeps its id; people's constraints hold."""

    type: Literal["reset"] = "reset"


@dataclass(frozen=True, slots=True)
class Configure(Asked):
    """Set how a project is clustered: its granularity, and an explicit join threshold (None: calibrated)."""

    threshold: Threshold | None = None
    granularity: Granularity = field(kw_only=True)
    type: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True)
class RoundFinished(Asked):
    """Carry out the round that has decided. The program sends this to itself, so the single writer receives it."""

    type: Literal["round_finished"] = "round_finished"


Command = (
    StartFix
    | ApproveFix
    | Merge
    | Split
    | Move
    | Rename
    | Pin
    | Mute
    | Resolve
    | Reopen
    | NotePullRequest
    | Undo
    | Rebalance
    | Cleanup
    | Reset
    | Configure
)
"""What a person may ask."""
