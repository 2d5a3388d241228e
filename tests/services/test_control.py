"""The keys of control: the newest record of a key replaces the others, so a key must never change."""

import pytest

from soulcaster.domain.members import Membership, User
from soulcaster.ports.messaging import Outgoing
from soulcaster.ports.projects import Project
from soulcaster.services.control import control_record, member_record, project_record, user_record
from soulcaster.wire.control import (
    KeyDefined,
    ProjectConfigured,
    RepositorySynced,
    SourceKicked,
    SourceReported,
    WebhookSecretDefined,
    control_message,
)
from soulcaster.wire.project_config import ProjectConfig
from tests.support.make import NOW

BY = {"created_at": NOW, "created_by": "me"}


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (project_record(Project("p1", "Shop", NOW)), b"project:p1"),
        (user_record(User("u1", NOW)), b"user:u1"),
        (member_record(Membership("p1", "u1", "owner", NOW)), b"member:p1:u1"),
        (
            control_record(KeyDefined(id="k1", project_id="p1", name="n", hash="0" * 64, scopes=("read",), **BY)),
            b"key:k1",
        ),
        (
            control_record(
                ProjectConfigured(project_id="p1", version=1, config=ProjectConfig(), updated_at=NOW, updated_by="me")
            ),
            b"config:p1",
        ),
        (
            control_record(
                WebhookSecretDefined(id="w1", project_id="p1", source="sentry", sealed="x", last4="1234", **BY)
            ),
            b"webhook:p1:w1",
        ),
        (
            control_record(SourceReported(project_id="p1", source="reddit", cursor={}, status="ok", reported_at=NOW)),
            b"source:p1:reddit",
        ),
        (control_record(SourceKicked(project_id="p1", source="reddit", kicked_at=NOW)), b"kick:p1:reddit"),
        (
            control_record(
                RepositorySynced(
                    project_id="p1", repository="Acme/Shop", connected_at=NOW, status="ok", reported_at=NOW
                )
            ),
            b"repository:p1:acme/shop",
        ),
    ],
)
def test_each_message_has_its_key(record: Outgoing, key: bytes) -> None:
    assert (record.topic, record.key) == ("control", key)
    assert control_record(control_message(record.value)) == record
