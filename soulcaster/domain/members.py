"""People: who somebody is, which projects they belong to, and what they may do there.

A user is known by one thing: a GitHub account, or, until they sign in, the e-mail address or the GitHub login they were
invited by. The id follows from that thing (`domain/ids.py`), so whoever is seen twice is one user, and whoever signs in
finds the invitations of each of their addresses without a search.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from soulcaster.domain.api_keys import SCOPES, KeyScope
from soulcaster.domain.ids import user_id_for

Role = Literal["owner", "member", "viewer"]
"""Who may what in a project: everything, members and keys included; change clusters and start fixes; read."""

ROLES: tuple[Role, ...] = get_args(Role)

SignUp = Literal["members", "anyone"]
"""Who may sign in: who is a member of a project or invited to one; or anyone, who is given a project of their own."""

LOCAL_OWNER = "owner"
"""Whom the one-time link of `soulcaster run` signs in: they may do everything in every project. No user's id."""

DEFAULT_PROJECT = "My Project"
"""What the project of their own is called that a user begins with."""

_MAY: Mapping[Role, frozenset[KeyScope]] = {
    "owner": frozenset(SCOPES),
    "member": frozenset({"ingest", "read", "write", "launch"}),
    "viewer": frozenset({"read"}),
}


@dataclass(frozen=True, slots=True)
class User:
    """A person; one without a `github_id` has not signed in yet."""

    id: str
    created_at: datetime
    email: str | None = None
    name: str | None = None
    github_id: str | None = None
    github_login: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """What a user is in a project, since when; one with `removed_at` is none any more."""

    project_id: str
    user_id: str
    role: Role
    at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GitHubPerson:
    """Who signed in, as GitHub tells it; `emails` are those that GitHub has verified, the primary one first."""

    id: str
    login: str
    name: str | None
    emails: tuple[str, ...]

    def invited_as(self) -> tuple[str, ...]:
        """Return the ids of the users that invitations of this person were made for."""
        by_email = (user_id_for("email", email) for email in self.emails)
        return (*by_email, user_id_for("login", self.login))


def may(role: Role, scope: KeyScope) -> bool:
    """Return whether a role allows this."""
    return scope in _MAY[role]


def higher(roles: Iterable[Role]) -> Role:
    """Return the role that may most.

    Raises:
        ValueError: there is none.
    """
    return min(roles, key=ROLES.index)


def leaves_no_owner(members: Iterable[Membership], user_id: str, role: Role | None) -> bool:
    """Return whether a project would lose its last owner if this user got this role; None: if they were removed."""
    owners = [member.user_id for member in members if member.role == "owner"]
    return owners == [user_id] and role != "owner"
