"""The shapes of settings, webhook secrets, sources and notices: bodies the API takes and answers it gives."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from soulcaster.domain.commands import Granularity, Threshold
from soulcaster.domain.events import CommandOutcome
from soulcaster.domain.lifecycle import JobStatus
from soulcaster.domain.source_state import MAX_ERROR, SourceStatus
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.services.github_sync import Synced
from soulcaster.services.project_config import Clustering
from soulcaster.services.sources import Standing
from soulcaster.web.api.models import Body
from soulcaster.wire.fields import PollCursor, Source, Time
from soulcaster.wire.project_config import MAX_NAMES, ProjectConfig, RedditPolling, RedditSort, Sorts, StoredConfig


class ProjectConfigIn(ProjectConfig):
    """PUT /config/project: all settings at once; `version` is that of the settings that they are made of."""

    threshold: Threshold | None = None
    granularity: Granularity = "auto"
    version: Annotated[int, Field(ge=0, le=2**53)]

    def config(self) -> ProjectConfig:
        """Return what is kept as settings; how to cluster is a command."""
        return ProjectConfig(
            repositories=self.repositories, sources=self.sources, mask_personal_data=self.mask_personal_data
        )


class ProjectConfigOut(ProjectConfig):
    """GET /config/project: all settings.

    `threshold` (null: calibrated) and `granularity` are what the clusterer goes by. `command_id` is that of the command
    by which they were changed, where they just were.
    """

    threshold: float | None
    granularity: Granularity
    version: int
    updated_at: datetime | None
    updated_by: str | None
    command_id: str | None = None
    project_id: str

    @classmethod
    def of(
        cls, project_id: str, stored: StoredConfig, clustering: Clustering, command_id: str | None = None
    ) -> "ProjectConfigOut":
        """Return settings as they are read."""
        return cls(
            **dict(stored.config),
            threshold=clustering.threshold,
            granularity=clustering.granularity,
            version=stored.version,
            updated_at=stored.updated_at,
            updated_by=stored.updated_by,
            command_id=command_id,
            project_id=project_id,
        )


class SubredditsIn(Body):
    """POST /config/reddit/subreddits: what is polled from now on; blank names do not count.

    `sorts` and `interval_seconds` stay as they are where they are not given.
    """

    subreddits: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^\s*([A-Za-z0-9_]{2,24}\s*)?$")], ...],
        Field(max_length=MAX_NAMES),
    ]
    sorts: Sorts | None = None
    interval_seconds: Annotated[int, Field(ge=10, le=86_400)] | None = None


class SubredditsOut(BaseModel):
    """What is polled of Reddit for a project: what it has set, and else what the environment says."""

    subreddits: list[str]
    sorts: list[RedditSort]
    interval_seconds: int
    enabled: bool
    project_id: str

    @classmethod
    def of(cls, project_id: str, stored: StoredConfig, polling: RedditPolling) -> "SubredditsOut":
        """Return what is polled."""
        reddit = stored.config.sources.reddit
        effective = polling.of(reddit)
        return cls(
            subreddits=list(effective.subreddits),
            sorts=list(effective.sorts),
            interval_seconds=effective.interval_seconds,
            enabled=reddit.enabled,
            project_id=project_id,
        )


class KickOut(BaseModel):
    """202 of a kick: the poller hears of it within seconds. 200, `skipped`: Reddit is off in this project."""

    status: Literal["ok", "skipped"]
    message: str
    project_id: str


class WebhookSecretIn(Body):
    """POST /webhook-secrets: a secret that the vendor gave, or, without one, one that is made here."""

    source: Source
    secret: Annotated[SecretStr, Field(min_length=16, max_length=256)] | None = None


class WebhookSecretOut(BaseModel):
    """A webhook secret, of which the last four characters are shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    source: str
    last4: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None

    @classmethod
    def of(cls, secret: WebhookSecret) -> "WebhookSecretOut":
        """Return what may be shown of a secret."""
        return cls.model_validate(secret)


class NewWebhookSecretOut(WebhookSecretOut):
    """201 of POST /webhook-secrets: `secret` is shown this once where it was made here, else it is null."""

    secret: str | None

    @classmethod
    def made(cls, secret: WebhookSecret, plain: str | None) -> "NewWebhookSecretOut":
        """Return a new secret."""
        return cls(**WebhookSecretOut.of(secret).model_dump(), secret=plain)


class SourceReportIn(Body):
    """PUT /sources/{source}/cursor: where a poller goes on, and how it fares; the whole of it, each time."""

    cursor: PollCursor
    status: SourceStatus = "ok"
    polled_at: Time | None = None
    last_error: Annotated[str, StringConstraints(max_length=MAX_ERROR)] | None = None
    last_error_at: Time | None = None


class SourceOut(BaseModel):
    """How a source stands.

    `last_received_at` is when its newest item came in, `kicked_at` when somebody wanted it polled at once. It is
    `connected` once anything has come of it or it was polled; `to_do` says what to do, empty where all is well. From
    `status` on it is what its poller has said, null where none has.
    """

    source: str
    enabled: bool
    connected: bool
    to_do: str
    last_received_at: datetime | None
    kicked_at: datetime | None
    status: SourceStatus | None
    reported_at: datetime | None
    polled_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    cursor: Mapping[str, Any] | None
    project_id: str

    @classmethod
    def of(cls, project_id: str, standing: Standing) -> "SourceOut":
        """Return a source as it stands."""
        state, report = standing.state, standing.state.report
        return cls(
            source=state.source,
            enabled=standing.enabled,
            connected=standing.connected,
            to_do=standing.to_do,
            last_received_at=state.last_received_at,
            kicked_at=state.kicked_at,
            status=report and report.status,
            reported_at=report and report.reported_at,
            polled_at=report and report.polled_at,
            last_error=report and report.last_error,
            last_error_at=report and report.last_error_at,
            cursor=report and report.cursor,
            project_id=project_id,
        )


class RepositorySyncOut(BaseModel):
    """What came of the sync of one repository.

    `new`, `updated`, `unchanged` and `skipped` (pull requests, what bots opened, what the settings leave out, what was
    closed before it was connected) are `total`. Where it is not `complete` there is more; `error` is why GitHub was not
    read to the end, if that is why. The fields from `new_issues` on are the predecessor's: there those that have closed
    (`archived_issues`) are not among the updated.
    """

    success: bool
    repo: str
    project_id: str
    new: int
    updated: int
    unchanged: int
    skipped: int
    total: int
    complete: bool
    error: str | None
    new_issues: int
    updated_issues: int
    archived_issues: int
    total_issues: int
    last_synced: datetime
    synced_ids: list[str]

    @classmethod
    def of(cls, project_id: str, synced: Synced, at: datetime) -> "RepositorySyncOut":
        """Return what came of a sync that ended then."""
        return cls(
            success=synced.stopped_by is None,
            repo=synced.repository,
            project_id=project_id,
            new=synced.new,
            updated=synced.updated,
            unchanged=synced.unchanged,
            skipped=synced.skipped,
            total=synced.total,
            complete=synced.complete,
            error=None if synced.stopped_by is None else str(synced.stopped_by),
            new_issues=synced.new,
            updated_issues=synced.updated - synced.closed,
            archived_issues=synced.closed,
            total_issues=synced.total,
            last_synced=at,
            synced_ids=list(synced.ids),
        )


class SyncOut(BaseModel):
    """What came of the sync of all repositories of a project: the sums, and each that was read, in that order.

    Where it is not `complete` there is more to read; `success` is false where GitHub, or another sync, kept a
    repository from being read.
    """

    success: bool
    project_id: str
    new: int
    updated: int
    unchanged: int
    skipped: int
    total: int
    complete: bool
    last_synced: datetime
    repositories: list[RepositorySyncOut]

    @classmethod
    def of(cls, project_id: str, read: Sequence[RepositorySyncOut], at: datetime, *, all_read: bool) -> "SyncOut":
        """Return what came of these; `all_read` says whether there are no others."""
        return cls(
            success=all(one.success for one in read),
            project_id=project_id,
            new=sum(one.new for one in read),
            updated=sum(one.updated for one in read),
            unchanged=sum(one.unchanged for one in read),
            skipped=sum(one.skipped for one in read),
            total=sum(one.total for one in read),
            complete=all_read and all(one.complete or not one.success for one in read),
            last_synced=at,
            repositories=list(read),
        )


class JobNoticeOut(BaseModel):
    """A job has got to a status."""

    id: str
    cluster_id: str
    status: JobStatus


class CommandNoticeOut(BaseModel):
    """Something became of a command."""

    id: str
    outcome: CommandOutcome


class NoticeOut(BaseModel):
    """The data of an event `changed` of GET /events: where to look for what changed; docs/api.md says what is what."""

    items: int
    clusters: list[str]
    more_clusters: bool
    jobs: list[JobNoticeOut]
    commands: list[CommandNoticeOut]
    clustering: Literal["idle", "pending", "running"] | None
