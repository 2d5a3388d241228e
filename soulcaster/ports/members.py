"""Members as they are read."""

from dataclasses import dataclass

from soulcaster.domain.members import Membership, User


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as it is read; of a user that was never defined there is only the id."""

    membership: Membership
    user: User | None = None
