"""Clusters and commands as they are read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from soulcaster.domain.events import By, CommandOutcome
from soulcaster.domain.lifecycle import ClusterStatus, Triage


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as it is read; the fields of `ClusterChanged` mean what they mean there.

    One whose title is empty there is called by its newest item.
    """

    project_id: str
    id: str
    title: str
    summary: str
    status: ClusterStatus
    size: int
    sources: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    github_pr_url: str | None = None
    error_message: str | None = None
    terms: tuple[str, ...] = ()
    coherence: float | None = None
    titled_by: Literal["machine", "person"] = "machine"
    pinned: bool = False
    parent_id: str | None = None
    github_repo_url: str | None = None
    triage: Triage = "open"


ClusterOrder = Literal["largest", "newest", "updated"]
"""What clusters are listed by: their size, the newer first among equals; when they were opened; when they changed."""

Happening = Literal[
    "merged", "merged_into", "split_off", "split_from", "restored", "move", "rename", "pin", "mute", "resolve",
    "reopen", "reopened",
]  # fmt: skip
"""What a cluster's history tells of: another was merged into it, or it into another; another was split off it, or it
off another; its merge was undone; a person moved items to it, renamed, (un)pinned, muted, resolved or reopened it; it
was reopened because of newer feedback."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What happened to a cluster, with the cluster it happened with and the command that asked for it, if any."""

    kind: Happening
    by: By
    reason: str
    at: datetime | None = None
    other_id: str | None = None
    command_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommandView:
    """What became of a command."""

    id: str
    outcome: CommandOutcome
    reason: str
    at: datetime
