"""The bodies and responses of a project's settings."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from soulcaster.domain.commands import Granularity, Threshold
from soulcaster.domain.entries import Entries
from soulcaster.services.project_config import Clustering
from soulcaster.web.bodies import Body
from soulcaster.web.schemas import READABLE
from soulcaster.wire.project_config import MAX_NAMES, ProjectConfig, RedditPolling, RedditSort, Sorts, StoredConfig


class ProjectConfigIn(ProjectConfig):
    """PUT /config/project: all settings at once; `version` is that of the settings they were edited from."""

    threshold: Threshold | None = None
    granularity: Granularity = "auto"
    version: Annotated[int, Field(ge=0, le=2**53)]

    def config(self) -> ProjectConfig:
        """Return the settings to store; threshold and granularity are sent as a command instead."""
        return ProjectConfig(**{name: getattr(self, name) for name in ProjectConfig.model_fields})


class ProjectConfigOut(ProjectConfig):
    """GET /config/project: all settings.

    `threshold` (null: calibrated) and `granularity` are those that the clusterer uses. `command_id` is the id of the
    command that changes them, in the response to a change.
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
        """Return settings as the read model has them."""
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
    """POST /config/reddit/subreddits: what is polled from now on; blank names are ignored, one other is required.

    `sorts` and `interval_seconds` stay as they are when they are left out.
    """

    subreddits: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^\s*([A-Za-z0-9_]{2,24}\s*)?$")], ...],
        Entries(MAX_NAMES),
        Field(json_schema_extra={"contains": READABLE}),
    ]
    sorts: Sorts | None = None
    interval_seconds: Annotated[int, Field(ge=10, le=86_400)] | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names in lower case, each once and without blank ones."""
        return tuple(dict.fromkeys(name.strip().lower() for name in self.subreddits if name.strip()))


class SubredditsOut(BaseModel):
    """What is polled of Reddit for a project: what it has set, else what the environment says."""

    subreddits: list[str]
    sorts: list[RedditSort]
    interval_seconds: int
    enabled: bool
    project_id: str

    @classmethod
    def of(cls, project_id: str, stored: StoredConfig, polling: RedditPolling) -> "SubredditsOut":
        """Return what is polled for a project; `polling` is what the environment says."""
        reddit = stored.config.sources.reddit
        effective = polling.of(reddit)
        return cls(
            subreddits=list(effective.subreddits),
            sorts=list(effective.sorts),
            interval_seconds=effective.interval_seconds,
            enabled=reddit.enabled,
            project_id=project_id,
        )
