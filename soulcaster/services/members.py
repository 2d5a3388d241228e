"""The members of projects: invited, given another role, and removed.

An invitation by e-mail address or GitHub login creates a user of that address. When its holder signs in, their own user
takes over the membership (`services.users`). So an invitation does not reveal who has an account here, and a login that
has changed hands lets in its present holder only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from soulcaster.domain.ids import user_id_for
from soulcaster.domain.members import MOST_MEMBERS, Membership, Role, User, leaves_no_owner
from soulcaster.errors import Conflict, NotFound
from soulcaster.ports.clock import Clock
from soulcaster.ports.members import MemberReader
from soulcaster.ports.messaging import Publisher
from soulcaster.services.control import member_record, user_record

LAST_OWNER = "A project keeps at least one owner. Make somebody else an owner first."


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A membership as it will be read, its user where one is known, and whether the member is new."""

    membership: Membership
    user: User | None
    is_new: bool = False


class Members:
    """Changes who belongs to a project."""

    def __init__(self, publisher: Publisher, members: MemberReader, clock: Clock) -> None:
        self._publisher = publisher
        self._members = members
        self._clock = clock

    async def invite(self, project_id: str, kind: Literal["email", "login"], address: str, role: Role) -> MemberChange:
        """Make the user of an e-mail address or GitHub login a member, or give that member another role.

        Raises:
            Conflict: the project would have no owner, or has as many members as it may have.
            Unavailable: Kafka or Redis does not answer.
        """
        user_id, now = user_id_for(kind, address), self._clock()
        self._check_room(await self._memberships(project_id), user_id)
        user = await self._members.user(user_id)
        if user is None:
            user = User(user_id, now, email=address) if kind == "email" else User(user_id, now, github_login=address)
            await self._publisher.publish([user_record(user)])
        return await self._set_role(project_id, user_id, user, role)

    async def set_role(self, project_id: str, user_id: str, role: Role) -> MemberChange:
        """Give a user a role in a project, as a new member where they are none.

        Raises:
            Conflict: the project would have no owner, or has as many members as it may have.
            Unavailable: Kafka or Redis does not answer.
        """
        return await self._set_role(project_id, user_id, await self._members.user(user_id), role)

    async def remove(self, project_id: str, user_id: str) -> MemberChange:
        """End a user's membership.

        Raises:
            NotFound: the user is not a member.
            Conflict: the project would have no owner.
            Unavailable: Kafka or Redis does not answer.
        """
        members = await self._memberships(project_id)
        known = _of_user(members, user_id)
        if known is None:
            raise NotFound("There is no member of that id in this project")
        if leaves_no_owner(members, user_id, None):
            raise Conflict(LAST_OWNER)
        removed = replace(known, removed_at=self._clock())
        await self._publisher.publish([member_record(removed)])
        return MemberChange(removed, await self._members.user(user_id))

    async def _set_role(self, project_id: str, user_id: str, user: User | None, role: Role) -> MemberChange:
        members = await self._memberships(project_id)
        known = _of_user(members, user_id)
        self._check_room(members, user_id)
        if known is not None and known.role == role:
            return MemberChange(known, user)
        if leaves_no_owner(members, user_id, role):
            raise Conflict(LAST_OWNER)
        membership = Membership(project_id, user_id, role, self._clock() if known is None else known.at)
        await self._publisher.publish([member_record(membership)])
        return MemberChange(membership, user, is_new=known is None)

    @staticmethod
    def _check_room(members: Sequence[Membership], user_id: str) -> None:
        """Return if this user is a member, or may become one.

        Raises:
            Conflict: there are too many.
        """
        if len(members) >= MOST_MEMBERS and _of_user(members, user_id) is None:
            raise Conflict(f"A project may have {MOST_MEMBERS} members; remove one first.")

    async def _memberships(self, project_id: str) -> Sequence[Membership]:
        return [view.membership for view in await self._members.list(project_id)]


def _of_user(members: Sequence[Membership], user_id: str) -> Membership | None:
    return next((member for member in members if member.user_id == user_id), None)
