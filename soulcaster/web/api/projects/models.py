"""The queries, bodies and responses of users and projects."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from soulcaster.domain.members import User
from soulcaster.ports.projects import Project, Stats
from soulcaster.web.bodies import Body
from soulcaster.web.listing import EntriesQuery
from soulcaster.web.parameters import Id
from soulcaster.web.schemas import at_least_one_of
from soulcaster.wire.fields import Email, PersonName, ProjectId, ProjectName


class ProjectsQuery(EntriesQuery):
    """Query of GET /projects."""

    user_id: Id | None = None


_PREDECESSOR_SOURCES = ("github", "manual", "reddit", "sentry")


class StatsOut(BaseModel):
    """GET /stats: the figures of a project."""

    total_feedback: int
    by_source: dict[str, int]
    unclustered: int
    total_clusters: int
    by_status: dict[str, int]
    jobs: int
    stored_bytes: int
    stored_bytes_limit: int
    project_id: str

    @classmethod
    def of(cls, project_id: str, stats: Stats, limit: int) -> "StatsOut":
        """Return the figures; the predecessor's sources are always listed, with zero when they have no items."""
        return cls(
            total_feedback=stats.total_feedback,
            by_source=dict.fromkeys(_PREDECESSOR_SOURCES, 0) | dict(stats.by_source),
            unclustered=stats.unclustered,
            total_clusters=stats.total_clusters,
            by_status=dict(stats.by_status),
            jobs=stats.jobs,
            stored_bytes=stats.stored_bytes,
            stored_bytes_limit=limit,
            project_id=project_id,
        )


class UserIn(Body):
    """POST /users: a person; `email`, `github_id` (the number of their GitHub account) or both are required."""

    model_config = ConfigDict(json_schema_extra=at_least_one_of("email", "github_id"))

    email: Email | None = None
    github_id: Id | None = None
    name: PersonName | None = None

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if self.email is None and self.github_id is None:
            raise ValueError("give email or github_id")
        return self


class UserOut(BaseModel):
    """A user."""

    id: str
    email: str | None
    name: str | None
    github_id: str | None
    github_login: str | None
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> "UserOut":
        """Return a user as the read model has it."""
        return cls.model_validate(user, from_attributes=True)


class ProjectIn(Body):
    """POST /projects: a project of a user; without `project_id`, its id is derived from user and name."""

    name: ProjectName
    user_id: Id
    project_id: ProjectId | None = None


class ProjectOut(BaseModel):
    """A project; `user_id` is the user who created it, null when no user did."""

    id: str
    user_id: str | None
    name: str
    created_at: datetime | None

    @classmethod
    def of(cls, project: Project) -> "ProjectOut":
        """Return a project as the read model has it."""
        return cls(id=project.id, user_id=project.created_by, name=project.name, created_at=project.created_at)


class CreatedUserOut(BaseModel):
    """POST /users: the user, and their own project."""

    user: UserOut
    default_project: ProjectOut


class CreatedProjectOut(BaseModel):
    """POST /projects: the project."""

    project: ProjectOut


class ProjectsOut(BaseModel):
    """GET /projects: one page of projects by name."""

    projects: list[ProjectOut]
    next_cursor: str | None
