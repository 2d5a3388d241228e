"""The queries and responses of clusters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from soulcaster.domain.events import By
from soulcaster.domain.fixes.fix import Backend, StopPoint
from soulcaster.domain.lifecycle import ClusterStatus
from soulcaster.ports.clusters import ClusterOrder, ClusterView, Happening, HistoryEntry
from soulcaster.services.fixes import RequestedFix
from soulcaster.services.near import NearCluster
from soulcaster.web.api.feedback.models import FeedbackOut
from soulcaster.web.parameters import Id, PageQuery, ProjectQuery, Words
from soulcaster.wire.fields import Source
from soulcaster.wire.project_config import Repository


class ClustersQuery(PageQuery):
    """Query of GET /clusters; the default limit is the highest, because the predecessor returned all clusters."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    status: ClusterStatus | None = None
    source: Source | None = None
    theme_id: Id | None = None
    sort: ClusterOrder = "largest"
    q: Words | None = None


class ClusterOut(BaseModel):
    """One cluster in GET /clusters; `count` is the number of its items, `theme_id` the theme that it is in."""

    id: str
    title: str
    summary: str
    count: int
    status: ClusterStatus
    sources: list[str]
    github_repo_url: str | None
    github_branch: str | None = None
    github_pr_url: str | None
    issue_title: str | None = None
    issue_description: str | None = None
    error_message: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime
    terms: list[str]
    coherence: float | None
    titled_by: Literal["machine", "person"]
    pinned: bool
    parent_id: str | None
    theme_id: str | None

    @classmethod
    def of(cls, view: ClusterView) -> "ClusterOut":
        """Return a cluster as the read model has it."""
        return cls(**_cluster_fields(view))


class HistoryOut(BaseModel):
    """What happened to a cluster; `other_id` is the other cluster involved, `url` the address of the pull request."""

    model_config = ConfigDict(from_attributes=True)

    kind: Happening
    by: By | Literal["github"]
    reason: str
    at: datetime | None
    other_id: str | None
    command_id: str | None
    url: str | None


class ClusterDetailOut(ClusterOut):
    """GET /clusters/{id}: a cluster and one page of its items, newest first; `total` is the number of its items.

    The id of a merged cluster returns the cluster that it was merged into: `id` is that cluster's.
    """

    feedback_ids: list[str]
    feedback_items: list[FeedbackOut]
    total: int
    limit: int
    offset: int
    next_cursor: str | None
    history: list[HistoryOut]

    @classmethod
    def of_history(
        cls, view: ClusterView, history: Sequence[HistoryEntry], *, limit: int, offset: int
    ) -> "ClusterDetailOut":
        """Return a cluster with its history; `with_items` adds the items."""
        return cls(
            **_cluster_fields(view),
            feedback_ids=[],
            feedback_items=[],
            total=0,
            next_cursor=None,
            limit=limit,
            offset=offset,
            history=[HistoryOut.model_validate(entry) for entry in history],
        )

    def with_items(self, items: Sequence[FeedbackOut], *, total: int, next_cursor: str | None) -> "ClusterDetailOut":
        """Return the cluster with one page of its items."""
        ids = [item.id for item in items]
        update = {"feedback_ids": ids, "feedback_items": [*items], "total": total, "next_cursor": next_cursor}
        return self.model_copy(update=update)


def _cluster_fields(view: ClusterView) -> dict[str, Any]:
    return {
        "id": view.id,
        "title": view.title,
        "summary": view.summary,
        "count": view.size,
        "status": view.status,
        "sources": list(view.sources),
        "github_repo_url": view.github_repo_url,
        "github_pr_url": view.github_pr_url,
        "error_message": view.error_message,
        "project_id": view.project_id,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "terms": list(view.terms),
        "coherence": view.coherence,
        "titled_by": view.titled_by,
        "pinned": view.pinned,
        "parent_id": view.parent_id,
        "theme_id": view.theme_id,
    }


class StartFixOut(BaseModel):
    """202 of start_fix: Kafka has the command; a moment later /jobs has the job `job_id`.

    `runner` is the launch backend. A job that is not `approved` waits until somebody approves it.
    """

    status: Literal["ok"] = "ok"
    message: str
    job_id: str
    command_id: str
    cluster_id: str
    project_id: str
    runner: str
    approved: bool

    @classmethod
    def of(cls, project_id: str, requested: RequestedFix) -> "StartFixOut":
        """Return what was requested."""
        return cls(
            message=requested.notice,
            job_id=requested.job_id,
            command_id=requested.command_id,
            cluster_id=requested.cluster_id,
            project_id=project_id,
            runner=requested.backend,
            approved=requested.approved,
        )


class StartFixQuery(ProjectQuery):
    """Query of start_fix: what the project's policy and the settings leave open."""

    backend: Backend | None = None
    stop_at: StopPoint | None = None
    plan_id: Id | None = None
    repository: Repository | None = None


class BriefOut(BaseModel):
    """GET /clusters/{id}/brief: what a coding agent would be given, `text`, and the repository it would change.

    `id` is the SHA-256 of the text. Where `repository` is null, somebody must choose one of `choices`.
    """

    id: str
    project_id: str
    cluster_id: str
    text: str
    item_ids: list[str]
    repository: str | None
    choices: list[str]


class NearClusterOut(BaseModel):
    """A cluster that is near: `item_id` is the item of it that is nearest.

    `meaning`, from -1 to 1, is how much alike they are in what they mean, `words`, from 0 to 1, in the words they use.
    """

    cluster_id: str
    title: str
    count: int
    status: ClusterStatus
    item_id: str
    meaning: float
    words: float

    @classmethod
    def of(cls, near: NearCluster) -> "NearClusterOut":
        """Return a cluster that is near."""
        view = near.cluster
        return cls(
            cluster_id=view.id,
            title=view.title,
            count=view.size,
            status=view.status,
            item_id=near.item_id,
            meaning=near.meaning,
            words=near.words,
        )


class NearClustersOut(BaseModel):
    """GET /clusters/{id}/near: other clusters, the nearest first, at most ten."""

    cluster_id: str
    project_id: str
    near: list[NearClusterOut]
