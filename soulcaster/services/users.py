"""Users: created by the API, and signed in with GitHub."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from soulcaster.domain.ids import default_project_id_for, user_id_for
from soulcaster.domain.members import GitHubPerson, Membership, Role, SignUp, User, higher
from soulcaster.ports.clock import Clock
from soulcaster.ports.members import MemberReader
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.projects import Project, ProjectReader
from soulcaster.services.control import member_record, project_record, user_record
from soulcaster.services.projects import default_project


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A user, their default project, and whether either is new."""

    user: User
    project: Project
    is_new: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user who signed in, and the memberships that changed with it."""

    user: User
    memberships: tuple[Membership, ...]


class Users:
    """Creates users and signs them in."""

    def __init__(self, publisher: Publisher, members: MemberReader, projects: ProjectReader, clock: Clock) -> None:
        self._publisher = publisher
        self._members = members
        self._projects = projects
        self._clock = clock

    async def create(self, *, email: str | None, github_id: str | None, name: str | None) -> CreatedUser:
        """Return the user of a GitHub account, or else of an e-mail address, with a default project.

        Raises:
            ValueError: neither is given.
            Unavailable: Kafka or Redis does not answer.
        """
        if github_id is not None:
            user_id = user_id_for("github", github_id)
        elif email is not None:
            user_id = user_id_for("email", email)
        else:
            raise ValueError("a user has a GitHub account or an e-mail address")
        now = self._clock()
        known = await self._members.user(user_id)
        user = known or User(user_id, now, email, name, github_id)
        project = await self._projects.get(default_project_id_for(user_id))
        records = [] if known else [user_record(user)]
        if project is None:
            project, ownership = default_project(user_id, now)
            records += [project_record(project), member_record(ownership)]
        await self._publisher.publish(records)
        return CreatedUser(user, project, is_new=bool(records))

    async def sign_in(self, person: GitHubPerson, sign_up: SignUp) -> SignedIn | None:
        """Return the user of a GitHub account, or None where they may not enter.

        The user takes over the invitations of their addresses and their login.

        Raises:
            Unavailable: Kafka or Redis does not answer.
        """
        user_id, now = user_id_for("github", person.id), self._clock()
        known = await self._members.user(user_id)
        present = {member.project_id: member for member in await self._members.of_user(user_id)}
        invitations = [member for invited in person.invited_as() for member in await self._members.of_user(invited)]
        if not present and not invitations and sign_up == "members":
            return None
        user = User(
            user_id,
            now if known is None else known.created_at,
            email=person.emails[0] if person.emails else None,
            name=person.name,
            github_id=person.id,
            github_login=person.login,
        )
        records = [] if user == known else [user_record(user)]
        changed = _taken_over(user_id, present, invitations, now)
        records += [member_record(member) for member in changed]
        if known is None and not present and not invitations:
            project, ownership = default_project(user_id, now)
            records += [project_record(project), member_record(ownership)]
            changed = [ownership]
        await self._publisher.publish(records)
        # The invitations end last: if they ended first and the rest failed, the next sign-in would find none.
        await self._publisher.publish([member_record(replace(member, removed_at=now)) for member in invitations])
        return SignedIn(user, tuple(changed))


def _taken_over(
    user_id: str, present: Mapping[str, Membership], invitations: Sequence[Membership], at: datetime
) -> list[Membership]:
    """Return the memberships that invitations change; of several roles in a project the highest one counts."""
    offered: dict[str, list[Role]] = defaultdict(list)
    for invitation in invitations:
        offered[invitation.project_id].append(invitation.role)
    changed = []
    for project_id, roles in offered.items():
        known = present.get(project_id)
        role = higher([*roles, known.role] if known else roles)
        if known is None or known.role != role:
            changed.append(Membership(project_id, user_id, role, at if known is None else known.at))
    return changed
