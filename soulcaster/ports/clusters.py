"""Clusters as the read model shows them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from soulcaster.domain.events import By
from soulcaster.domain.lifecycle import ClusterStatus, Triage
from soulcaster.ports.paging import Page


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster; its fields mean what they mean in `ClusterChanged`.

    A cluster without a title gets title and summary from its newest item. The status and the pull request come from its
    newest job. `github_repo_url` is the repository that most of its newest items are about.
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
    theme_id: str | None = None


ClusterOrder = Literal["largest", "newest", "updated"]
"""By size (the newer first among equals), by when they were opened, by when they changed; always descending."""

Happening = Literal[
    "merged", "merged_into", "split_off", "split_from", "restored", "move", "rename", "pin", "mute", "resolve",
    "reopen", "regressed", "reopened", "pr_opened", "pr_reopened", "pr_merged", "pr_released", "pr_closed",
]  # fmt: skip
"""What happened to a cluster: another was merged into it, or it into another; another was split off it, or it off
another; its merge was undone; a person moved items to it, renamed, (un)pinned, muted, resolved or reopened it; it was
resolved and newer feedback came, which earlier versions called reopened; a pull request for it was opened, opened
again, merged, released or closed without a merge."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event of a cluster's history, with the other cluster and the command that asked for it, if there are any.

    `url` is the address of the pull request that it is about.
    """

    kind: Happening
    by: By | Literal["github"]
    reason: str
    at: datetime | None = None
    other_id: str | None = None
    command_id: str | None = None
    url: str | None = None


class ClusterReader(Protocol):
    """Reads clusters. The id of a merged cluster is an alias: every method resolves it.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def list(
        self,
        project_id: str,
        *,
        status: ClusterStatus | None = None,
        source: str | None = None,
        theme_id: str | None = None,
        words: Sequence[str] = (),
        order: ClusterOrder = "largest",
        limit: int,
        offset: int,
        after: str | None = None,
    ) -> Page[ClusterView]:
        """Return one page of clusters; see `ports.paging` for offset, cursor and what one call may look at.

        Args:
            project_id: the project.
            status: only clusters with this status.
            source: only clusters with items of this source.
            theme_id: only clusters in this theme.
            words: only clusters whose title and summary contain each of these, in any case.
            order: how the list is sorted.
            limit: most clusters on the page.
            offset: how many to skip, where `after` is None.
            after: `Page.next` of the page before.
        """

    async def get(self, project_id: str, cluster_id: str) -> ClusterView | None:
        """Return one cluster, or None."""

    async def get_many(self, project_id: str, cluster_ids: Collection[str]) -> Mapping[str, ClusterView]:
        """Return these clusters by the ids asked for, in as many round trips as for one; unknown ids are left out."""

    async def history(self, project_id: str, cluster_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a cluster, newest first; at most the newest hundred."""
