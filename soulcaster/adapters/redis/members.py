"""Users and members in Redis: their values and their reader."""

from pydantic import TypeAdapter

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.connection import RedisConnection
from soulcaster.adapters.redis.slices import parsed
from soulcaster.domain.members import Membership, User
from soulcaster.ports.members import MemberView

USER: TypeAdapter[User] = TypeAdapter(User)
MEMBERSHIP: TypeAdapter[Membership] = TypeAdapter(Membership)


class RedisMembers:
    """MemberReader over Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def user(self, user_id: str) -> User | None:
        """Return one user, or None."""
        async with self._connection.commands() as redis:
            text = await redis.get(keys.user(user_id))
        return None if text is None else USER.validate_json(text)

    async def get(self, project_id: str, user_id: str) -> Membership | None:
        """Return a user's membership in a project, or None."""
        async with self._connection.commands() as redis:
            text = await redis.hget(keys.members(project_id), user_id)
        return None if text is None else MEMBERSHIP.validate_json(text)

    async def list(self, project_id: str) -> tuple[MemberView, ...]:
        """Return all members of a project, the longest-standing first."""
        async with self._connection.commands() as redis:
            texts = await redis.hvals(keys.members(project_id))
            found = await parsed(texts, MEMBERSHIP.validate_json)
            members = sorted(found, key=lambda member: (member.at, member.user_id))
            texts_of_users = await redis.mget([keys.user(member.user_id) for member in members]) if members else []
            users = await parsed(texts_of_users, lambda text: None if text is None else USER.validate_json(text))
        return tuple(MemberView(member, user) for member, user in zip(members, users, strict=True))

    async def of_user(self, user_id: str) -> tuple[Membership, ...]:
        """Return all memberships of a user, by project id."""
        async with self._connection.commands() as redis:
            texts = await redis.hvals(keys.memberships(user_id))
        return tuple(sorted(await parsed(texts, MEMBERSHIP.validate_json), key=lambda member: member.project_id))
