"""The bodies and responses of members."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from soulcaster.domain.members import Role
from soulcaster.ports.members import MemberView
from soulcaster.web.bodies import Body
from soulcaster.web.parameters import Id
from soulcaster.web.schemas import exactly_one_of
from soulcaster.wire.fields import Email, GitHubLogin

_PERSON = ("user_id", "email", "github_login")
"""The fields of which exactly one names the person."""


class MemberIn(Body):
    """POST /projects/{id}/members: exactly one of `user_id`, `email` and `github_login`, and the role."""

    model_config = ConfigDict(json_schema_extra=exactly_one_of(*_PERSON))

    user_id: Id | None = None
    email: Email | None = None
    github_login: GitHubLogin | None = None
    role: Role

    @model_validator(mode="after")
    def _one_person(self) -> Self:
        if sum(getattr(self, name) is not None for name in _PERSON) != 1:
            raise ValueError("give exactly one of user_id, email and github_login")
        return self


class MemberOut(BaseModel):
    """A member of a project since `since`; the e-mail address of a user who has signed in is not shown."""

    project_id: str
    user_id: str
    role: Role
    since: datetime
    name: str | None
    email: str | None
    github_login: str | None

    @classmethod
    def of(cls, view: MemberView) -> "MemberOut":
        """Return a member as the read model has it."""
        member, user = view.membership, view.user
        return cls(
            project_id=member.project_id,
            user_id=member.user_id,
            role=member.role,
            since=member.at,
            name=user and user.name,
            email=user.email if user is not None and user.github_id is None else None,
            github_login=user and user.github_login,
        )
