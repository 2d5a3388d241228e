"""control: projects, API keys, members, settings and the state of sources; the newest message of each key counts."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, TypeAdapter

from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.members import Membership, Role, User
from soulcaster.domain.source_state import MAX_ERROR, Position, RepositoryState, SourceReport, SourceStatus
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.wire.fields import (
    MAX_ETAG,
    Email,
    GitHubLogin,
    KeyName,
    KeyScopes,
    PersonName,
    PollCursor,
    ProjectId,
    ProjectName,
    ShortId,
    Source,
    Time,
    UserId,
)
from soulcaster.wire.message import Message
from soulcaster.wire.project_config import ProjectConfig, Repository, StoredConfig


class ProjectDefined(Message):
    """control: a project, its name and who made it, where that was a user; the newest counts."""

    type: Literal["project"] = "project"
    id: ProjectId
    name: ProjectName
    created_at: Time
    created_by: UserId | None = None


class KeyDefined(Message):
    """control: an API key, of which only the hash is known; the newest counts, so a revoked one is sent again so."""

    type: Literal["key"] = "key"
    id: ShortId
    project_id: ProjectId
    name: KeyName
    hash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    scopes: KeyScopes
    created_at: Time
    created_by: Annotated[str, StringConstraints(max_length=200)]
    expires_at: Time | None = None
    revoked_at: Time | None = None

    def key(self) -> ApiKey:
        """Return the key as the domain takes it."""
        return ApiKey(**self.model_dump(exclude={"schema_version", "type"}))


class UserDefined(Message):
    """control: a user; the newest counts."""

    type: Literal["user"] = "user"
    id: UserId
    email: Email | None = None
    name: PersonName | None = None
    github_id: ShortId | None = None
    github_login: GitHubLogin | None = None
    created_at: Time

    def user(self) -> User:
        """Return the user as the domain takes it."""
        return User(**self.model_dump(exclude={"schema_version", "type"}))


class MemberDefined(Message):
    """control: what a user is in a project; the newest counts, so who was removed is sent again so."""

    type: Literal["member"] = "member"
    project_id: ProjectId
    user_id: UserId
    role: Role
    at: Time
    removed_at: Time | None = None

    def membership(self) -> Membership:
        """Return the membership as the domain takes it."""
        return Membership(**self.model_dump(exclude={"schema_version", "type"}))


class ProjectConfigured(Message):
    """control: all of a project's settings; the newest counts. `version` counts them."""

    type: Literal["config"] = "config"
    project_id: ProjectId
    version: Annotated[int, Field(ge=1)]
    config: ProjectConfig
    updated_at: Time
    updated_by: Annotated[str, StringConstraints(max_length=200)]

    def stored(self) -> StoredConfig:
        """Return the settings as they are kept."""
        return StoredConfig(self.version, self.config, self.updated_at, self.updated_by)


class WebhookSecretDefined(Message):
    """control: a webhook secret, sealed; the newest counts, so a removed one is sent again so, with nothing sealed."""

    type: Literal["webhook"] = "webhook"
    id: ShortId
    project_id: ProjectId
    source: Source
    sealed: Annotated[str, StringConstraints(max_length=4096)]
    last4: Annotated[str, StringConstraints(max_length=4)]
    created_at: Time
    created_by: Annotated[str, StringConstraints(max_length=200)]
    removed_at: Time | None = None

    def secret(self) -> WebhookSecret:
        """Return the secret as the domain takes it."""
        return WebhookSecret(**self.model_dump(exclude={"schema_version", "type"}))


class SourceReported(Message):
    """control: what a source's poller says of itself; the newest of a project and source counts."""

    type: Literal["source"] = "source"
    project_id: ProjectId
    source: Source
    cursor: PollCursor
    status: SourceStatus
    reported_at: Time
    polled_at: Time | None = None
    last_error: Annotated[str, StringConstraints(max_length=MAX_ERROR)] | None = None
    last_error_at: Time | None = None

    def report(self) -> SourceReport:
        """Return the report as the domain takes it."""
        return SourceReport(**self.model_dump(exclude={"schema_version", "type", "project_id", "source"}))


class RepositorySynced(Message):
    """control: how far a repository at GitHub was read for a project; the newest of each counts.

    `connected_at`, `since`, `whole` and `etag` are those of `domain.source_state.Position`.
    """

    type: Literal["repository"] = "repository"
    project_id: ProjectId
    repository: Repository
    connected_at: Time
    since: Time | None = None
    whole: bool = False
    etag: Annotated[str, StringConstraints(max_length=MAX_ETAG)] | None = None
    status: SourceStatus
    reported_at: Time
    synced_at: Time | None = None
    last_error: Annotated[str, StringConstraints(max_length=MAX_ERROR)] | None = None
    last_error_at: Time | None = None

    def state(self) -> RepositoryState:
        """Return the state as the domain takes it."""
        position = Position(self.connected_at, self.since, self.whole, self.etag)
        told = (self.status, self.reported_at, self.synced_at, self.last_error, self.last_error_at)
        return RepositoryState(self.repository, position, *told)


class SourceKicked(Message):
    """control: somebody wants a source polled now; a message of its own, for its poller writes the other."""

    type: Literal["kick"] = "kick"
    project_id: ProjectId
    source: Source
    kicked_at: Time


ControlMessage = (
    ProjectDefined
    | KeyDefined
    | UserDefined
    | MemberDefined
    | ProjectConfigured
    | WebhookSecretDefined
    | SourceReported
    | SourceKicked
    | RepositorySynced
)

_CONTROL: TypeAdapter[ControlMessage] = TypeAdapter(
    Annotated[
        Annotated[ProjectDefined, Tag("project")]
        | Annotated[KeyDefined, Tag("key")]
        | Annotated[UserDefined, Tag("user")]
        | Annotated[MemberDefined, Tag("member")]
        | Annotated[ProjectConfigured, Tag("config")]
        | Annotated[WebhookSecretDefined, Tag("webhook")]
        | Annotated[SourceReported, Tag("source")]
        | Annotated[SourceKicked, Tag("kick")]
        | Annotated[RepositorySynced, Tag("repository")],
        Discriminator(lambda value: value.get("type", "project") if isinstance(value, dict) else None),
    ]
)


def control_message(value: bytes) -> ControlMessage:
    """Return what a record of control says; one without a type is a project.

    Raises:
        ValueError: it is none of what control carries.
    """
    return _CONTROL.validate_json(value)
