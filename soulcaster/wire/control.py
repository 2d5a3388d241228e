"""control: projects, API keys, members, settings and the state of sources; the newest message of each key counts."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, TypeAdapter

from soulcaster.domain.api_keys import ApiKey
from soulcaster.domain.ids import ShortId
from soulcaster.domain.members import Membership, Role, User
from soulcaster.domain.source_state import Position, RepositoryState, SourceReport, SourceStatus
from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.wire.fields import (
    MAX_ETAG,
    KeyScopes,
    PollCursor,
    ProjectId,
    Source,
    SourceError,
    StoredEmail,
    StoredGitHubLogin,
    StoredKeyName,
    StoredPersonName,
    StoredProjectName,
    Time,
    UserId,
)
from soulcaster.wire.message import Message
from soulcaster.wire.project_config import ProjectConfig, Repository, StoredConfig


class ProjectDefined(Message):
    """control: a project, its name, and the user who created it, if any; the newest message counts."""

    type: Literal["project"] = "project"
    id: ProjectId
    name: StoredProjectName
    created_at: Time
    created_by: UserId | None = None


class KeyDefined(Message):
    """control: an API key, by its hash; the newest message counts, so revoking sends it again with `revoked_at`."""

    type: Literal["key"] = "key"
    id: ShortId
    project_id: ProjectId
    name: StoredKeyName
    hash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    scopes: KeyScopes
    created_at: Time
    created_by: Annotated[str, StringConstraints(max_length=200)]
    expires_at: Time | None = None
    revoked_at: Time | None = None
    knows_poll: bool = False

    def key(self) -> ApiKey:
        """Return the API key as the domain has it."""
        return ApiKey(**self.model_dump(exclude={"schema_version", "type"}))


class UserDefined(Message):
    """control: a user; the newest message counts."""

    type: Literal["user"] = "user"
    id: UserId
    email: StoredEmail | None = None
    name: StoredPersonName | None = None
    github_id: ShortId | None = None
    github_login: StoredGitHubLogin | None = None
    created_at: Time

    def user(self) -> User:
        """Return the user as the domain has it."""
        return User(**self.model_dump(exclude={"schema_version", "type"}))


class MemberDefined(Message):
    """control: a member; the newest message counts, so removing sends it again with `removed_at`."""

    type: Literal["member"] = "member"
    project_id: ProjectId
    user_id: UserId
    role: Role
    at: Time
    removed_at: Time | None = None

    def membership(self) -> Membership:
        """Return the membership as the domain has it."""
        return Membership(**self.model_dump(exclude={"schema_version", "type"}))


class ProjectConfigured(Message):
    """control: all settings of a project; the newest message counts. `version` counts the changes."""

    type: Literal["config"] = "config"
    project_id: ProjectId
    version: Annotated[int, Field(ge=1)]
    config: ProjectConfig
    updated_at: Time
    updated_by: Annotated[str, StringConstraints(max_length=200)]

    def stored(self) -> StoredConfig:
        """Return the settings as the read model stores them."""
        return StoredConfig(self.version, self.config, self.updated_at, self.updated_by)


class WebhookSecretDefined(Message):
    """control: a webhook secret, sealed; the newest message counts, so removing sends it again with nothing sealed."""

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
        """Return the secret as the domain has it."""
        return WebhookSecret(**self.model_dump(exclude={"schema_version", "type"}))


class SourceReported(Message):
    """control: the report of a source's poller; the newest of a project and source counts."""

    type: Literal["source"] = "source"
    project_id: ProjectId
    source: Source
    cursor: PollCursor
    status: SourceStatus
    reported_at: Time
    polled_at: Time | None = None
    last_error: SourceError | None = None
    last_error_at: Time | None = None

    def report(self) -> SourceReport:
        """Return the report as the domain has it."""
        return SourceReport(**self.model_dump(exclude={"schema_version", "type", "project_id", "source"}))


class RepositorySynced(Message):
    """control: how far a GitHub repository was read for a project; the newest of each counts.

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
    last_error: SourceError | None = None
    last_error_at: Time | None = None

    def state(self) -> RepositoryState:
        """Return the state as the domain has it."""
        position = Position(self.connected_at, self.since, self.whole, self.etag)
        told = (self.status, self.reported_at, self.synced_at, self.last_error, self.last_error_at)
        return RepositoryState(self.repository, position, *told)


class SourceKicked(Message):
    """control: a request to poll a source now; a message of its own, because the poller writes `SourceReported`."""

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
    """Return the message in a record of control; one without a type is a project.

    Raises:
        ValueError: the record is no control message.
    """
    return _CONTROL.validate_json(value)
