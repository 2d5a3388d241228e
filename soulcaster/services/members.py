"""Making users, projects and members: all ends on the topic control. The API and the pages do it in the same way.

Who is invited by an e-mail address or a GitHub login is a user of that address from then on, whoever it belongs to.
When its holder signs in, their own user takes the memberships over. So inviting tells nothing of who is here already,
and a login that has changed hands lets in nobody but its holder.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from soulcaster.domain.ids import default_project_id_for, user_id_for, users_project_id_for
from soulcaster.domain.members import (
    DEFAULT_PROJECT,
    GitHubPerson,
    Membership,
    Role,
    SignUp,
    User,
    higher,
    leaves_no_owner,
)
from soulcaster.errors import Conflict, NotFound
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.ports.projects import Project
from soulcaster.ports.read_model import ReadModel
from soulcaster.wire.control import MemberDefined, ProjectDefined, UserDefined
from soulcaster.wire.topics import CONTROL

LAST_OWNER = "A project keeps at least one owner. Make somebody else an owner first."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the memberships that came with it."""

    user: User
    memberships: tuple[Membership, ...]


async def make_user(
    publisher: Publisher,
    read_model: ReadModel,
    *,
    email: str | None,
    github_id: str | None,
    name: str | None,
    at: datetime,
) -> tuple[User, Project, bool]:
    """Return the user of a GitHub account, else of an e-mail address, their own project, and whether either is new.

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
    known = await read_model.members.user(user_id)
    user = known or User(user_id, at, email, name, github_id)
    project = await read_model.projects.get(default_project_id_for(user_id))
    messages = [] if known else [_of_user(user)]
    if project is None:
        project, of_project = _own_project(user_id, at)
        messages += of_project
    await publisher.publish(messages)
    return user, project, bool(messages)


async def make_project(
    publisher: Publisher, read_model: ReadModel, *, name: str, user_id: str, project_id: str | None, at: datetime
) -> tuple[Project, bool]:
    """Return the project of that id, or of that user and name, with the user as an owner, and whether that is new.

    Raises:
        Conflict: it has owners, and the user is none of them.
        Unavailable: Kafka or Redis does not answer.
    """
    own_id = project_id or users_project_id_for(user_id, name)
    known = await read_model.projects.get(own_id)
    owners = {
        view.membership.user_id for view in await read_model.members.list(own_id) if view.membership.role == "owner"
    }
    if known is not None and user_id in owners:
        return known, False
    if owners:
        raise Conflict(f"There is a project {own_id} already, and it is another's")
    if known is not None and known.created_at is not None:
        made = replace(known, created_by=known.created_by or user_id)
    else:
        made = Project(own_id, name, at, user_id)
    await publisher.publish([_of_project(made), _of_member(Membership(own_id, user_id, "owner", at))])
    return made, True


async def invite(
    publisher: Publisher,
    read_model: ReadModel,
    project_id: str,
    kind: Literal["email", "login"],
    address: str,
    role: Role,
    at: datetime,
) -> tuple[Membership, User, bool]:
    """Make whoever has an e-mail address or a GitHub login a member; return what they are, and whether that is new.

    Raises:
        Conflict: the project would have no owner.
        Unavailable: Kafka or Redis does not answer.
    """
    user_id = user_id_for(kind, address)
    user = await read_model.members.user(user_id)
    if user is None:
        user = User(user_id, at, email=address) if kind == "email" else User(user_id, at, github_login=address)
        await publisher.publish([_of_user(user)])
    membership, made = await set_member(publisher, read_model, project_id, user_id, role, at)
    return membership, user, made


async def set_member(
    publisher: Publisher, read_model: ReadModel, project_id: str, user_id: str, role: Role, at: datetime
) -> tuple[Membership, bool]:
    """Give a user a role in a project; return what they are, and whether they were no member before.

    Raises:
        Conflict: the project would have no owner.
        Unavailable: Kafka or Redis does not answer.
    """
    members = [view.membership for view in await read_model.members.list(project_id)]
    known = next((member for member in members if member.user_id == user_id), None)
    if known is not None and known.role == role:
        return known, False
    if leaves_no_owner(members, user_id, role):
        raise Conflict(LAST_OWNER)
    member = Membership(project_id, user_id, role, at if known is None else known.at)
    await publisher.publish([_of_member(member)])
    return member, known is None


async def remove_member(
    publisher: Publisher, read_model: ReadModel, project_id: str, user_id: str, at: datetime
) -> Membership:
    """Return the membership of a user who is a member no more.

    Raises:
        NotFound: they are no member.
        Conflict: the project would have no owner.
        Unavailable: Kafka or Redis does not answer.
    """
    members = [view.membership for view in await read_model.members.list(project_id)]
    known = next((member for member in members if member.user_id == user_id), None)
    if known is None:
        raise NotFound("There is no member of that id in this project")
    if leaves_no_owner(members, user_id, None):
        raise Conflict(LAST_OWNER)
    removed = replace(known, removed_at=at)
    await publisher.publish([_of_member(removed)])
    return removed


async def sign_in(
    publisher: Publisher, read_model: ReadModel, person: GitHubPerson, sign_up: SignUp, at: datetime
) -> SignedIn | None:
    """Return the user that a GitHub account stands for, once Kafka has what is new; None when they may not enter.

    Memberships of the addresses they were invited by become theirs.

    Raises:
        Unavailable: Kafka or Redis does not answer.
    """
    user_id = user_id_for("github", person.id)
    known = await read_model.members.user(user_id)
    standing = {member.project_id: member for member in await read_model.members.of_user(user_id)}
    invitations = [member for invited in person.invited_as() for member in await read_model.members.of_user(invited)]
    if not standing and not invitations and sign_up == "members":
        return None
    user = User(
        user_id,
        at if known is None else known.created_at,
        email=person.emails[0] if person.emails else None,
        name=person.name,
        github_id=person.id,
        github_login=person.login,
    )
    messages = [] if user == known else [_of_user(user)]
    new = _taken_over(user_id, standing, invitations, at)
    messages += [_of_member(member) for member in new]
    if known is None and not standing and not invitations:
        project, of_project = _own_project(user_id, at)
        messages += of_project
        new = [Membership(project.id, user_id, "owner", at)]
    await publisher.publish(messages)
    # Only now: were these there without those, nobody would be invited any more.
    await publisher.publish([_of_member(replace(invitation, removed_at=at)) for invitation in invitations])
    return SignedIn(user, tuple(new))


def _taken_over(
    user_id: str, standing: dict[str, Membership], invitations: Sequence[Membership], at: datetime
) -> list[Membership]:
    """Return what changes for a user who takes invitations up: of several roles in a project the highest counts."""
    roles: dict[str, list[Role]] = defaultdict(list)
    for invitation in invitations:
        roles[invitation.project_id].append(invitation.role)
    new = []
    for project_id, offered in roles.items():
        present = standing.get(project_id)
        role = higher([*offered, present.role] if present else offered)
        if present is None or present.role != role:
            new.append(Membership(project_id, user_id, role, at if present is None else present.at))
    return new


def _own_project(user_id: str, at: datetime) -> tuple[Project, list[Outgoing]]:
    project = Project(default_project_id_for(user_id), DEFAULT_PROJECT, at, user_id)
    return project, [_of_project(project), _of_member(Membership(project.id, user_id, "owner", at))]


def _of_user(user: User) -> Outgoing:
    return Outgoing(CONTROL.name, f"user:{user.id}".encode(), UserDefined(**asdict(user)).to_bytes())


def _of_member(member: Membership) -> Outgoing:
    key = f"member:{member.project_id}:{member.user_id}"
    return Outgoing(CONTROL.name, key.encode(), MemberDefined(**asdict(member)).to_bytes())


def _of_project(project: Project) -> Outgoing:
    return Outgoing(CONTROL.name, f"project:{project.id}".encode(), ProjectDefined(**asdict(project)).to_bytes())
