"""Users, the projects they belong to, and what they may do there.

A user is identified by a GitHub account or, before the first sign-in, by the e-mail address or GitHub login of an
invitation. The user id derives from it (`domain/ids.py`), so the same person is always the same user, and a sign-in
finds the invitations of all their addresses without a search.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from soulcaster.domain.api_keys import SCOPES, KeyScope
from soulcaster.domain.ids import user_id_for

Role = Literal["owner", "member", "viewer"]
"""What a member may do: everything, members and API keys included; change clusters and start fixes; read."""

ROLES: tuple[Role, ...] = get_args(Role)

SignUp = Literal["members", "anyone"]
"""Who may sign in: members of a project and people invited to one; or anyone, who then gets a project."""

LOCAL_OWNER = "owner"
"""The person whom the one-time link of `soulcaster run` signs in: they may do everything. It is no user id."""

DEFAULT_PROJECT = "My Project"
"""The name of the project that every new user gets."""

MOST_MEMBERS = 500
"""Members of a project: whoever lists or changes them reads all."""

_MAY: Mapping[Role, frozenset[KeyScope]] = {
    "owner": frozenset(SCOPES),
    "member": frozenset({"ingest", "read", "write", "launch"}),
    "viewer": frozenset({"read"}),
}


@dataclass(frozen=True, slots=True)
class User:
    """A person; without a `github_id` they have not signed in yet."""

    id: str
    created_at: datetime
    email: str | None = None
    name: str | None = None
    github_id: str | None = None
    github_login: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """The role of a user in a project since `at`; with `removed_at` the user is no longer a member."""

    project_id: str
    user_id: str
    role: Role
    at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GitHubPerson:
    """A person who signed in with GitHub; `emails` are the verified ones, the primary one first."""

    id: str
    login: str
    name: str | None
    emails: tuple[str, ...]

    def invited_as(self) -> tuple[str, ...]:
        """Return the ids of the users that invitations of this person belong to."""
        by_email = (user_id_for("email", email) for email in self.emails)
        return (*by_email, user_id_for("login", self.login))


def may(role: Role, scope: KeyScope) -> bool:
    """Return whether a role includes this scope."""
    return scope in _MAY[role]


def higher(roles: Iterable[Role]) -> Role:
    """Return the role that allows most.

    Raises:
        ValueError: `roles` is empty.
    """
    return min(roles, key=ROLES.index)


def leaves_no_owner(members: Iterable[Membership], user_id: str, role: Role | None) -> bool:
    """Return whether a project loses its last owner when this user gets this role (None: is removed)."""
    owners = [member.user_id for member in members if member.role == "owner"]
    return owners == [user_id] and role != "owner"
