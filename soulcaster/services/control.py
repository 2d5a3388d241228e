"""Messages of `control` as records: the newest record of a key replaces those before it."""

from dataclasses import asdict

from soulcaster.domain.members import Membership, User
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.projects import Project
from soulcaster.wire.control import (
    ControlMessage,
    KeyDefined,
    MemberDefined,
    ProjectConfigured,
    ProjectDefined,
    RepositorySynced,
    SourceKicked,
    SourceReported,
    UserDefined,
    WebhookSecretDefined,
)
from soulcaster.wire.topics import CONTROL


def control_record(message: ControlMessage) -> Outgoing:
    """Return the record that a message is sent as."""
    return Outgoing(CONTROL.name, _key(message).encode(), message.to_bytes())


def user_record(user: User) -> Outgoing:
    """Return the record that defines a user."""
    return control_record(UserDefined(**asdict(user)))


def member_record(membership: Membership) -> Outgoing:
    """Return the record that defines a membership, or its end."""
    return control_record(MemberDefined(**asdict(membership)))


def project_record(project: Project) -> Outgoing:
    """Return the record that defines a project."""
    return control_record(ProjectDefined(**asdict(project)))


def _key(message: ControlMessage) -> str:
    match message:
        case ProjectDefined():
            return f"project:{message.id}"
        case KeyDefined():
            return f"key:{message.id}"
        case UserDefined():
            return f"user:{message.id}"
        case MemberDefined():
            return f"member:{message.project_id}:{message.user_id}"
        case ProjectConfigured():
            return f"config:{message.project_id}"
        case WebhookSecretDefined():
            return f"webhook:{message.project_id}:{message.id}"
        case SourceReported():
            return f"source:{message.project_id}:{message.source}"
        case SourceKicked():
            return f"kick:{message.project_id}:{message.source}"
        case RepositorySynced():
            return f"repository:{message.project_id}:{message.repository.lower()}"
