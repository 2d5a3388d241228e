"""Users and members as the read model shows them."""

from dataclasses import dataclass
from typing import Protocol

from soulcaster.domain.members import Membership, User


@dataclass(frozen=True, slots=True)
class MemberView:
    """A membership with its user; `user` is None where only the id is known."""

    membership: Membership
    user: User | None = None


class MemberReader(Protocol):
    """Reads users and their memberships.

    Every method raises RedisUnavailable (an Unavailable) when the store does not answer.
    """

    async def user(self, user_id: str) -> User | None:
        """Return one user, or None."""

    async def get(self, project_id: str, user_id: str) -> Membership | None:
        """Return a user's membership in a project, or None."""

    async def list(self, project_id: str) -> tuple[MemberView, ...]:
        """Return all members of a project, the longest-standing first."""

    async def of_user(self, user_id: str) -> tuple[Membership, ...]:
        """Return all memberships of a user, by project id."""
