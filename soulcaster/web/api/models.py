"""The shapes of the JSON API: bodies it takes and answers it gives.

They keep the fields of the predecessor's API, so that its clients go on working.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from soulcaster.domain.lifecycle import ClusterStatus, Job, JobStatus
from soulcaster.messages import ProjectId, RawFeedback, Source, Time
from soulcaster.ports import ClusterView, FeedbackView, Stats

METADATA_DEPTH = 16

_PREDECESSOR_SOURCES = ("github", "manual", "reddit", "sentry")

_OWNER_AND_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class Body(BaseModel):
    """Base of what the API takes; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ManualIn(Body):
    """POST /ingest/manual: what somebody typed."""

    text: str
    title: str | None = None


class FeedbackIn(Body):
    """POST /ingest/feedback: one item of any source; the predecessor's FeedbackItem is one too.

    `external_id` is the item's id at its source: the same one sent again is the same item, its newest version. Its
    `id` stands in where there is none; with neither, every request is an item of its own.
    """

    project_id: ProjectId | None = None
    source: Source
    title: str | None = None
    body: str | None = None
    external_id: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    id: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    created_at: Time | None = None
    author: str | None = None
    url: str | None = None
    github_repo_url: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    raw_text: str | None = None
    repo: str | None = None
    github_issue_number: int | None = None
    github_issue_url: str | None = None
    status: str | None = None

    @field_validator("metadata")
    @classmethod
    def _not_too_deep(cls, value: dict[str, Any]) -> dict[str, Any]:
        if _deeper_than(value, METADATA_DEPTH):
            raise ValueError(f"may be nested {METADATA_DEPTH} levels deep at most")
        return value

    def to_raw(self, project_id: str, external_id: str) -> RawFeedback:
        """Return the message for feedback.raw; what only the predecessor had fields for goes into the metadata."""
        theirs = self.model_dump(include=set(_IN_METADATA), exclude_none=True)
        repo_url = self.github_repo_url
        if repo_url is None and self.repo and _OWNER_AND_NAME.fullmatch(self.repo):
            repo_url = f"https://github.com/{self.repo}"
        return RawFeedback(
            project_id=project_id,
            source=self.source,
            title=self.title,
            body=self.body,
            external_id=external_id,
            created_at=self.created_at,
            author=self.author,
            url=self.url or self.github_issue_url,
            github_repo_url=repo_url,
            metadata={**theirs, **self.metadata},
        )


_IN_METADATA: dict[str, type] = {
    "raw_text": str,
    "repo": str,
    "github_issue_number": int,
    "github_issue_url": str,
    "status": str,
}
"""Fields of the predecessor's FeedbackItem that no other source has, and their type."""


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper_than(part, levels - 1) for part in value)


class IngestOut(BaseModel):
    """202 of /ingest/*: Kafka has the item; it shows in /feedback a moment later, under this id."""

    status: Literal["ok"] = "ok"
    id: str
    project_id: str


class FeedbackOut(BaseModel):
    """One item; it is `clustered` once it has a `cluster_id`."""

    id: str
    project_id: str
    source: str
    external_id: str
    title: str
    body: str
    raw_text: str | None = None
    metadata: dict[str, Any]
    created_at: datetime
    received_at: datetime
    author: str | None
    url: str | None
    github_repo_url: str | None
    clustered: bool
    cluster_id: str | None
    repo: str | None = None
    github_issue_number: int | None = None
    github_issue_url: str | None = None
    status: str | None = None

    @classmethod
    def of(cls, view: FeedbackView) -> "FeedbackOut":
        """Return an item as it is read."""
        item = view.item
        theirs: dict[str, Any] = {
            name: item.metadata[name]
            for name, kind in _IN_METADATA.items()
            if isinstance(item.metadata.get(name), kind)
        }
        return cls(
            id=item.id,
            project_id=item.project_id,
            source=item.source,
            external_id=item.external_id,
            title=item.title,
            body=item.body,
            metadata=item.metadata,
            created_at=item.created_at,
            received_at=item.received_at,
            author=item.author,
            url=item.url,
            github_repo_url=item.github_repo_url,
            clustered=view.cluster_id is not None,
            cluster_id=view.cluster_id,
            **theirs,
        )


class FeedbackListOut(BaseModel):
    """GET /feedback: a part of the items, newest first, and how many there are in all."""

    items: list[FeedbackOut]
    total: int
    limit: int
    offset: int
    project_id: str


class ClusterOut(BaseModel):
    """One cluster in GET /clusters; `count` is how many items it holds."""

    id: str
    title: str
    summary: str
    count: int
    status: ClusterStatus
    sources: list[str]
    github_pr_url: str | None
    issue_title: str | None = None
    issue_description: str | None = None
    github_repo_url: str | None = None
    project_id: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, view: ClusterView) -> "ClusterOut":
        """Return a cluster as it is read."""
        return cls(**_cluster_fields(view))


class ClusterDetailOut(ClusterOut):
    """GET /clusters/{id}: a cluster and a part of its items, newest first; `total` is how many it holds."""

    github_branch: str | None = None
    error_message: str | None
    feedback_ids: list[str]
    feedback_items: list[FeedbackOut]
    total: int
    limit: int
    offset: int

    @classmethod
    def with_items(
        cls, view: ClusterView, items: Sequence[FeedbackView], *, total: int, limit: int, offset: int
    ) -> "ClusterDetailOut":
        """Return a cluster with a part of its items."""
        return cls(
            **_cluster_fields(view),
            error_message=view.error_message,
            feedback_ids=[item.item.id for item in items],
            feedback_items=[FeedbackOut.of(item) for item in items],
            total=total,
            limit=limit,
            offset=offset,
        )


def _cluster_fields(view: ClusterView) -> dict[str, Any]:
    return {
        "id": view.id,
        "title": view.title,
        "summary": view.summary,
        "count": view.size,
        "status": view.status,
        "sources": list(view.sources),
        "github_pr_url": view.github_pr_url,
        "project_id": view.project_id,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
    }


class StatsOut(BaseModel):
    """GET /stats: a project in figures."""

    total_feedback: int
    by_source: dict[str, int]
    unclustered: int
    total_clusters: int
    by_status: dict[str, int]
    jobs: int
    project_id: str

    @classmethod
    def of(cls, project_id: str, stats: Stats) -> "StatsOut":
        """Return the figures; the predecessor's sources are always named, at zero where there is nothing of them."""
        return cls(
            total_feedback=stats.total_feedback,
            by_source=dict.fromkeys(_PREDECESSOR_SOURCES, 0) | dict(stats.by_source),
            unclustered=stats.unclustered,
            total_clusters=stats.total_clusters,
            by_status=dict(stats.by_status),
            jobs=stats.jobs,
            project_id=project_id,
        )


class StartFixOut(BaseModel):
    """202 of start_fix: Kafka has the command; the job shows in /jobs a moment later, under `job_id`."""

    status: Literal["ok"] = "ok"
    message: str
    job_id: str
    command_id: str
    cluster_id: str
    project_id: str


class JobOut(BaseModel):
    """A job; `logs`, one line an entry, is null in lists."""

    id: str
    project_id: str
    cluster_id: str
    status: JobStatus
    logs: str | None
    pr_url: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: Job, logs: Sequence[str] | None = None) -> "JobOut":
        """Return a job as it is read."""
        return cls(
            id=job.id,
            project_id=job.project_id,
            cluster_id=job.cluster_id,
            status=job.status,
            logs=None if logs is None else "\n".join(logs),
            pr_url=job.pr_url,
            error=job.error,
            created_at=job.created_at,
            updated_at=job.updated_at,
        )


class RootOut(BaseModel):
    """GET /: the server is up."""

    status: Literal["ok"] = "ok"
    service: Literal["soulcaster"] = "soulcaster"


class HealthOut(BaseModel):
    """GET /health: the server is up, and whether its storage answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["soulcaster"] = "soulcaster"
    storage: Literal["connected", "disconnected"]
    timestamp: datetime


class ReadyOut(BaseModel):
    """200 of GET /ready: all that requests need answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
